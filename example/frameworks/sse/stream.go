// Package sse binds streams of server-sent events to their sessions. It is for any page that gets
// events, with or without htmx.
//
// The last event of a stream that its session has ended is "close"; its data is the code and the
// reason. The page then stops, because an EventSource reconnects by itself. After any other end,
// such as a login or a restart of the server, the last event is "reconnect" and the page need not
// do anything.
package sse

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/sessionbridge/sessionbridge/bridge"
)

const (
	writeTimeout = 10 * time.Second // of one event to a client that doesn't read
	heartbeat    = 30 * time.Second // proxies close what is silent for a minute or so
	closeWait    = time.Second      // for the last event
)

// Stream is a stream of events. It is safe for concurrent use.
type Stream struct {
	link    *bridge.Link
	w       http.ResponseWriter
	out     *http.ResponseController
	ended   chan string // the last event
	writing sync.Mutex  // a ResponseWriter allows one writer at a time,
	over    bool        // and none after the handler has returned
}

// Handler returns a handler of streams that get the messages of Notify as the event "message". A
// stream without a session ends at once with "close": its page came back after a logout.
func Handler(b *bridge.Bridge) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s, err := Open(b, w, r)
		if err != nil {
			b.WriteError(w, r, err) // nothing has been sent yet
			return
		}
		if s.link.SessionID() == "" {
			s.end(bridge.CodeNoSession, "no session")
		}
		s.Serve(r.Context())
	})
}

// Open begins a stream with the event "open", whose data is the ID of the Link. After an error nothing
// has been sent. Otherwise the handler must call Serve.
func Open(b *bridge.Bridge, w http.ResponseWriter, r *http.Request) (*Stream, error) {
	s := &Stream{w: w, out: http.NewResponseController(w), ended: make(chan string, 1)} // buffered: end never blocks
	link, err := b.Attach(r, s.end)
	if err != nil {
		return nil, err
	}
	s.link = link
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	s.writing.Lock()
	defer s.writing.Unlock()
	link.OnNotify(0, bridge.CloseSlow, s.notify) // the first message waits for the lock, so it follows "open"
	link.Heartbeat(heartbeat, s.beat)
	_ = s.writeLocked(format("open", link.ID())) // if it fails, Serve returns soon
	return s, nil
}

// Link returns the stream's Link.
func (s *Stream) Link() *bridge.Link { return s.link }

// Serve waits until the client has disconnected or the session has ended, and ends the stream. The
// handler returns then.
func (s *Stream) Serve(ctx context.Context) {
	defer s.link.Detach()
	select {
	case event := <-s.ended:
		_ = s.write(event)
	case <-ctx.Done():
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	s.over = true
}

// end is called by the Bridge, possibly before Open has returned.
func (s *Stream) end(code int, reason string) {
	_ = s.out.SetWriteDeadline(time.Now().Add(closeWait)) // also ends a write that blocks
	name := "reconnect"
	if code >= 4500 {
		name = "close"
	}
	s.ended <- format(name, fmt.Sprintf("%d %s", code, reason))
}

// Send sends an event.
func (s *Stream) Send(name, data string) error { return s.write(format(name, data)) }

// beat sends a comment, which the browser ignores.
func (s *Stream) beat(context.Context) error { return s.write(":\n\n") }

func (s *Stream) notify(kind websocket.MessageType, data []byte) error {
	if kind == websocket.MessageBinary { // events are text
		return s.Send("binary", base64.StdEncoding.EncodeToString(data))
	}
	return s.Send("message", string(data))
}

func (s *Stream) write(text string) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	return s.writeLocked(text)
}

func (s *Stream) writeLocked(text string) error {
	if s.over {
		return net.ErrClosed
	}
	_ = s.out.SetWriteDeadline(time.Now().Add(writeTimeout))
	if _, err := io.WriteString(s.w, text); err != nil {
		return err
	}
	return s.out.Flush()
}

// format returns an event. A line break of the data begins another line of data.
func format(name, data string) string {
	data = strings.NewReplacer("\r\n", "\ndata: ", "\r", "\ndata: ", "\n", "\ndata: ").Replace(data)
	return "event: " + name + "\ndata: " + data + "\n\n"
}
