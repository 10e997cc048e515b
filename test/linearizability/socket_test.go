package linearizability_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/coder/websocket"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit/await"
)

// overSocket does an operation on the socket's session. Without a socket it opens one first.
func (a *linActor) overSocket(ctx context.Context, session int, what, name string) {
	if a.sockets[session] == nil && !a.dial(ctx, session) {
		return
	}
	s := a.sockets[session]
	ask, err := json.Marshal(linAsk{what, name})
	if err != nil {
		a.unexpected(what, err)
		return
	}
	call := linCall{what: what, name: name, from: a.clock.Add(1), cookie: linCookie{label: s.label}}
	_ = s.ws.Write(ctx, websocket.MessageText, ask) // a failure is the socket's end, which its reader sees
	v, open := a.hear(s)
	call.to = a.clock.Add(1)
	code := 0
	if !open {
		a.sockets[session] = nil
		v.Word, code = "closed", s.code
	}
	a.judgeSocket(session, call, v, code)
}

// hear returns the next answer, or false when the socket is closed.
func (a *linActor) hear(s *linSocket) (linView, bool) {
	select {
	case v, open := <-s.answers:
		return v, open
	case <-time.After(await.Limit):
		_ = s.ws.CloseNow()
		a.unexpected("socket", "no answer and no end")
		return linView{}, false
	}
}

// dial opens a socket. It returns false when it has no session.
func (a *linActor) dial(ctx context.Context, session int) bool {
	cookie := a.cookies[session]
	call := linCall{what: "dial", from: a.clock.Add(1), cookie: cookie}
	ws, res, err := websocket.Dial(ctx, a.url+"/socket", &websocket.DialOptions{
		HTTPClient: a.client,
		HTTPHeader: http.Header{"Cookie": {cookie.header}},
	})
	if err != nil {
		call.to = a.clock.Add(1)
		switch {
		case res != nil && res.StatusCode == http.StatusConflict:
			a.record(session, a.number, call.from, call.to, linEvent{kind: linLate, label: cookie.label})
		case res != nil && res.StatusCode == http.StatusServiceUnavailable && a.troubled:
			a.retire(session, call, true)
		default:
			a.unexpected("dial", err)
		}
		return false
	}
	s := &linSocket{ws: ws, label: cookie.label, answers: make(chan linView, 1)}
	a.actors.Go(func() { s.read(ctx) })
	v, open := a.hear(s)
	call.to = a.clock.Add(1)
	switch {
	case open && v.ID == a.sessions[session].id:
		a.record(session, a.number, call.from, call.to, linEvent{kind: linOpened, label: cookie.label})
		a.retire(session, call, false)
		a.sockets[session] = s
		return true
	case open && v.ID != "":
		a.unexpected("dial", "another session: "+v.ID)
	case open || s.code == bridge.CodeReconnect || s.code == bridge.CodeDestroyed:
		a.record(session, a.number, call.from, call.to, linEvent{kind: linUnusable, label: cookie.label})
		a.retire(session, call, true)
	case s.code == bridge.CodeUnavailable && a.troubled, s.code == cutOff:
		a.retire(session, call, true)
	default:
		a.unexpected("dial", fmt.Sprint("closed with ", s.code))
	}
	_ = ws.CloseNow()
	return false
}

// cutOff is the code of a connection that ended without a close frame: the Bridge cuts one whose
// close takes more than a second, which may happen on a busy machine. The outcome of the operation
// is then unknown.
const cutOff = -1

// linSocket is the browser's end of a socket. It is read all the time, as in a browser.
type linSocket struct {
	ws      *websocket.Conn
	label   uint8
	answers chan linView // closed with the socket
	code    int          // of its end
}

func (s *linSocket) read(ctx context.Context) {
	defer close(s.answers)
	for {
		_, data, err := s.ws.Read(ctx)
		if err != nil {
			s.code = int(websocket.CloseStatus(err))
			return
		}
		var v linView
		if err := json.Unmarshal(data, &v); err != nil {
			v.Word = fmt.Sprintf("unexpected: %s", data)
		}
		s.answers <- v
	}
}
