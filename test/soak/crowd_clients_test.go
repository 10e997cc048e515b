package soak_test

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// crowdVariable makes this test binary a process of clients with sockets to the server that it
// names: the limit on open files of one process allows only one end of each.
const crowdVariable = "SESSIONBRIDGE_CROWD"

// order is a line to that process, report is a line from it.
type (
	order struct {
		Do            string // open, close (with 1000), cut (without a close frame)
		ID            int
		Path, Cookies string
		Every         time.Duration // between messages, on average; 0: none are sent
	}
	report struct {
		What           string // opened, refused, closed
		ID             int
		Code           int       // that it was closed with; -1: without a close frame
		At             time.Time // when
		Sent, Answered int       // messages and their answers
		Best           int       // the highest answer
		First, Last    int       // numbers of notes; it has received all between them
		Pings          int
		Problem        string
	}
)

// clients are the clients of that process.
type clients struct {
	addr    string
	mu      sync.Mutex
	out     *json.Encoder
	sockets map[int]*client
	running sync.WaitGroup
}

// runClients executes orders until in ends, and then cuts the remaining sockets.
func runClients(addr string, in io.Reader, out io.Writer) {
	c := &clients{addr: addr, out: json.NewEncoder(out), sockets: make(map[int]*client)}
	orders := json.NewDecoder(in)
	for {
		var o order
		if orders.Decode(&o) != nil {
			break
		}
		if o.Do == "open" {
			c.running.Go(func() { c.open(o) })
			continue
		}
		c.mu.Lock()
		s := c.sockets[o.ID]
		c.mu.Unlock()
		if s != nil {
			s.leave(o.Do == "cut")
		}
	}
	c.mu.Lock()
	for _, s := range c.sockets {
		_ = s.wire.conn.Close()
	}
	c.mu.Unlock()
	c.running.Wait()
}

func (c *clients) say(r report) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.out.Encode(r) != nil {
		os.Exit(2) // the parent is gone
	}
}

func (c *clients) open(o order) {
	w, err := dialWire(c.addr, o.Path, o.Cookies)
	if err != nil {
		c.say(report{What: "refused", ID: o.ID, Problem: err.Error()})
		return
	}
	s := &client{wire: w, every: o.Every, told: report{What: "closed", ID: o.ID}}
	c.mu.Lock()
	c.sockets[o.ID] = s
	c.mu.Unlock()
	c.say(report{What: "opened", ID: o.ID, At: time.Now()})
	s.talk()
	code := s.listen()
	at := time.Now()
	_ = w.conn.Close()
	c.mu.Lock()
	delete(c.sockets, o.ID)
	c.mu.Unlock()
	r := s.hush()
	r.Code, r.At = code, at
	c.say(r)
}

// client is one socket. Its own goroutine reads, and answers pings.
type client struct {
	wire  *wire
	every time.Duration

	mu      sync.Mutex
	told    report
	over    bool
	leaving bool
	next    *time.Timer
}

// talk plans the next message.
func (s *client) talk() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.every == 0 || s.over || s.leaving {
		return
	}
	s.next = time.AfterFunc(s.every/2+rand.N(s.every), func() {
		if s.sends() && s.wire.write(opText, []byte("add")) == nil {
			s.talk()
		}
	})
}

// sends counts a message that may arrive.
func (s *client) sends() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over || s.leaving {
		return false
	}
	s.told.Sent++
	return true
}

// hush ends the messages, and returns the report.
func (s *client) hush() report {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	if s.next != nil {
		s.next.Stop()
	}
	return s.told
}

// leave closes the socket like a program that ends, or, with cut, like one that crashes: every
// other time with a reset.
func (s *client) leave(cut bool) {
	s.mu.Lock()
	s.leaving = true
	id := s.told.ID
	s.mu.Unlock()
	if !cut {
		_ = s.wire.write(opClose, []byte{1000 >> 8, 1000 & 0xff})
		return
	}
	if tcp, ok := s.wire.conn.(*net.TCPConn); ok && id%2 == 0 {
		_ = tcp.SetLinger(0)
	}
	_ = s.wire.conn.Close()
}

// listen returns the code of the close frame, -1 if the connection ends without one.
func (s *client) listen() int {
	for {
		op, payload, err := s.wire.read()
		if err != nil {
			return -1
		}
		switch op {
		case opText:
			s.hear(string(payload))
		case opPing:
			s.mu.Lock()
			s.told.Pings++
			s.mu.Unlock()
			_ = s.wire.write(opPong, payload)
		case opClose:
			s.mu.Lock()
			leaving := s.leaving
			s.mu.Unlock()
			if !leaving {
				_ = s.wire.write(opClose, payload[:min(len(payload), 2)])
			}
			return closeCode(payload)
		}
	}
}

// hear counts a note, which must be the next one, or an answer, which must be higher than the one
// before.
func (s *client) hear(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := &s.told
	if note, ok := strings.CutPrefix(text, "note "); ok {
		n, err := strconv.Atoi(note)
		if err != nil || t.Last != 0 && n != t.Last+1 {
			t.Problem = fmt.Sprintf("%q after note %d", text, t.Last)
		}
		if t.Last = n; t.First == 0 {
			t.First = n
		}
		return
	}
	n, err := strconv.Atoi(text)
	if err != nil || n <= t.Best {
		t.Problem = fmt.Sprintf("the answer %q after %d", text, t.Best)
	}
	t.Answered++
	t.Best = n
}
