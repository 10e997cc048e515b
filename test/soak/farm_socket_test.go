package soak_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/testkit/await"
)

// farmSocket is the browser's end of a socket.
type farmSocket struct {
	wire  *wire
	label int
}

// overSocket does an operation on the socket's session. Without a socket it opens one first.
func (a *farmActor) overSocket(place int, what string) farmOutcome {
	h := &a.held[place]
	if h.socket == nil {
		if outcome := a.dial(place); h.socket == nil {
			return outcome
		}
	}
	kind := map[string]farmKind{"look": farmRead, "increment": farmIncrement, "destroy": farmDestroy}[what]
	call := farmCall{what: what, socket: true, effect: farmEvent{kind: kind, label: h.socket.label}, from: a.clock.Add(1)}
	_ = h.socket.wire.write(opText, []byte(what)) // a failure is the socket's end, which the reader sees
	v, code := h.socket.hear()
	call.to = a.clock.Add(1)
	if code != 0 {
		a.leave(place)
	}
	return a.judge(h.session, call, v, code)
}

// dial opens a socket at any node.
func (a *farmActor) dial(place int) farmOutcome {
	h := &a.held[place]
	call := farmCall{what: "dial", socket: true, effect: farmEvent{kind: farmOpened, label: h.cookie.label}, from: a.clock.Add(1)}
	w, err := dialWire(a.anyNode(a.random).addr, "/socket", h.cookie.header())
	if err != nil {
		call.to = a.clock.Add(1)
		switch {
		case strings.Contains(err.Error(), "503"):
			return farmUnavailable
		case strings.Contains(err.Error(), "409"):
			return a.judge(h.session, call, farmView{Word: "late"}, 0)
		}
		a.puzzled("dial", err)
		return farmFine
	}
	s := &farmSocket{wire: w, label: h.cookie.label}
	v, code := s.hear()
	call.to = a.clock.Add(1)
	switch {
	case code == 0 && v.ID == h.session.id:
		v.Word = "ok"
		h.socket = s
	case code == 0 && v.ID == "":
		v.Word = "no session"
	}
	if h.socket == nil {
		_ = w.conn.Close()
	}
	return a.judge(h.session, call, v, code)
}

// hear returns the next answer, or the close code; -1 if the socket ends without one, or is silent
// for too long.
func (s *farmSocket) hear() (v farmView, code int) {
	_ = s.wire.conn.SetReadDeadline(time.Now().Add(2 * await.Limit)) // a node waits for its store half as long
	for {
		op, payload, err := s.wire.read()
		switch {
		case err != nil:
			return v, -1
		case op == opPing:
			_ = s.wire.write(opPong, payload)
		case op == opClose:
			_ = s.wire.write(opClose, payload[:min(len(payload), 2)])
			return v, closeCode(payload)
		case json.Unmarshal(payload, &v) != nil:
			return farmView{Word: fmt.Sprintf("unexpected: %s", payload)}, 0
		default:
			return v, 0
		}
	}
}
