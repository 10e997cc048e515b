package compat_test

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

	coder "github.com/coder/websocket"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// eventStream is a response of server-sent events: the events open, with the link's ID; message; and close, with code and reason.
type eventStream struct {
	link    *bridge.Link
	w       http.ResponseWriter
	out     *http.ResponseController
	writing sync.Mutex // a ResponseWriter knows one writer
	over    bool       // and none after its handler's return
}

func (s *eventStream) event(name, data string) error {
	lines := strings.ReplaceAll(strings.ReplaceAll(data, "\r", "\n"), "\n", "\ndata: ")
	return s.write(fmt.Sprintf("event: %s\ndata: %s\n\n", name, lines))
}

// beat sends a comment, which the browser ignores.
func (s *eventStream) beat(context.Context) error { return s.write(":\n\n") }

func (s *eventStream) write(text string) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	if s.over {
		return net.ErrClosed
	}
	_ = s.out.SetWriteDeadline(time.Now().Add(writeTimeout))
	if _, err := io.WriteString(s.w, text); err != nil {
		return err
	}
	return s.out.Flush()
}

func (s *eventStream) end() {
	s.writing.Lock()
	defer s.writing.Unlock()
	s.over = true
}

func (s *eventStream) send(kind coder.MessageType, data []byte) error {
	if kind == coder.MessageBinary { // events are text
		return s.event("binary", base64.StdEncoding.EncodeToString(data))
	}
	return s.event("message", string(data))
}

// streams are those that are open, by the link's ID: what a client has to say about one comes in requests of its own.
type streams struct {
	b    *bridge.Bridge
	open sync.Map
}

// sseHandler is an application of server-sent events: it answers each word that is said to a stream, at ?to=…&word=….
func sseHandler(b *bridge.Bridge) http.Handler {
	all := &streams{b: b}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Has("to") {
			all.say(w, r)
			return
		}
		all.serve(w, r)
	})
}

func (all *streams) serve(w http.ResponseWriter, r *http.Request) {
	out := http.NewResponseController(w)
	ended := make(chan string, 1) // with room: the close function waits for nobody
	link, err := all.b.Attach(r, func(code int, reason string) {
		_ = out.SetWriteDeadline(time.Now().Add(closeWait)) // also of a write that hangs
		ended <- fmt.Sprintf("%d %s", code, reason)
	})
	if err != nil {
		http.Error(w, err.Error(), bridge.HTTPStatus(err)) // nothing has been sent yet
		return
	}
	defer link.Detach()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	s := &eventStream{link: link, w: w, out: out}
	all.open.Store(link.ID(), s)
	defer all.open.Delete(link.ID())
	defer s.end()
	if s.event("open", link.ID()) != nil {
		return
	}
	link.OnNotify(0, bridge.CloseSlow, s.send)
	link.Heartbeat(heartbeat, s.beat)
	select {
	case end := <-ended:
		_ = s.event("close", end)
	case <-r.Context().Done(): // the client is gone
	}
}

func (all *streams) say(w http.ResponseWriter, r *http.Request) {
	own, err := all.b.Session(r)
	v, ok := all.open.Load(r.URL.Query().Get("to"))
	if err != nil || !ok || v.(*eventStream).link.SessionID() != own.ID() { // others' streams aren't there
		http.NotFound(w, r)
		return
	}
	s, word := v.(*eventStream), r.URL.Query().Get("word")
	s.link.Received(len(word)) // or link.Active(), where nobody counts
	said := answer(r.Context(), s.link, word)
	if s.event("message", said) == nil {
		s.link.Sent(len(said))
	}
}

// A stream of server-sent events shares its session with the pages, is told, and is closed: its last event says why.
func Example_serverSentEvents() {
	b, err := bridge.New(livestore.New(), nil)
	if err != nil {
		panic(err)
	}
	v := visit(attachApp(b, sseHandler(b)))
	defer v.leave(b)

	fmt.Println("over HTTP:", v.get("/inc"))
	events := v.listen("/connect")
	_, id := events.next()
	v.get("/connect?word=inc&to=" + id)
	fmt.Println(events.next())
	_, _ = b.Notify(context.Background(), bridge.To{SessionID: v.get("/id")}, []byte("you have mail"))
	fmt.Println(events.next())
	v.get("/logout")
	fmt.Println(events.next())
	// Output:
	// over HTTP: 1
	// message 2
	// message you have mail
	// close 4500 logout
}
