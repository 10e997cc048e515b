package soak_test

import (
	"encoding/json"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/testkit/await"
)

// killSocket is a browser's end of a socket, which is read all the time.
type killSocket struct {
	wire    *wire
	node    *killNode
	now     func() time.Time
	answers chan farmView
	closed  chan struct{} // when it has ended; the following say how
	code    int           // -1: without a close frame
	reason  string
	at      time.Time
	left    atomic.Bool // the browser has closed it itself
	judged  atomic.Bool // its end is being checked

	mu    sync.Mutex
	notes map[string]chan struct{} // each closed when the note has come
}

// open opens a socket, and returns its first message.
func (k *killing) open(n *killNode, cookies string) (s *killSocket, hello farmView, err error) {
	w, err := dialWire(n.addr, "/socket", cookies)
	if err != nil {
		return nil, hello, err
	}
	s = &killSocket{wire: w, node: n, now: k.now, answers: make(chan farmView, 100), notes: map[string]chan struct{}{}, closed: make(chan struct{})}
	k.listening.Go(s.listen)
	hello, _ = s.answer()
	return s, hello, nil
}

func (s *killSocket) listen() {
	defer close(s.closed)
	s.code = -1
	for {
		op, payload, err := s.wire.read()
		if err != nil {
			s.at = s.now()
			return
		}
		switch op {
		case opPing:
			_ = s.wire.write(opPong, payload)
		case opClose:
			s.at, s.code, s.reason = s.now(), closeCode(payload), string(payload[min(len(payload), 2):])
			_ = s.wire.write(opClose, payload[:min(len(payload), 2)])
			_ = s.wire.conn.Close()
			return
		default:
			var v farmView
			if json.Unmarshal(payload, &v) != nil {
				v.Word = "unexpected: " + string(payload)
			}
			if v.Word == "note" {
				close(s.note(v.ID))
			} else {
				s.answers <- v
			}
		}
	}
}

// ask sends a message and returns the answer; false: the socket has ended, or is silent.
func (s *killSocket) ask(do string) (farmView, bool) {
	_ = s.wire.write(opText, []byte(do)) // a failure is its end, which the reader sees
	return s.answer()
}

func (s *killSocket) answer() (v farmView, ok bool) {
	select {
	case v = <-s.answers:
		return v, true
	case <-s.closed:
		select {
		case v = <-s.answers: // the last one
			return v, true
		default:
			return v, false
		}
	case <-time.After(await.Limit):
		return farmView{Word: "silence"}, true
	}
}

// note returns a channel that is closed when the note comes.
func (s *killSocket) note(text string) chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.notes[text] == nil {
		s.notes[text] = make(chan struct{})
	}
	return s.notes[text]
}

// hears waits until the note has come, or the socket has ended; false: neither.
func (s *killSocket) hears(note string) bool {
	select {
	case <-s.note(note):
		return true
	case <-s.closed:
		return true
	case <-time.After(await.Limit):
		return false
	}
}

// leave closes the socket, as a tab that is closed does.
func (s *killSocket) leave() {
	s.left.Store(true)
	_ = s.wire.conn.Close()
}

func (s *killSocket) isOpen() bool {
	select {
	case <-s.closed:
		return false
	default:
		return true
	}
}
