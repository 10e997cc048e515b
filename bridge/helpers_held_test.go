package bridge_test

import (
	"context"
	"testing"

	"github.com/sessionbridge/sessionbridge/bridge"
)

// holder is a connection of PerConnection whose function hands out what it got, and returns when the test says so.
type holder struct {
	br   *browser
	ws   *socket
	ctx  context.Context
	conn *bridge.Conn
	s    *bridge.Session

	finishing chan error
	closes    *recorder[bridge.ConnClose]
}

// newHolder opens one in a browser with a session, which before may prepare.
func newHolder(t testing.TB, a *app, before func(br *browser)) *holder {
	t.Helper()
	return newHolderAt(t, a, a.serve(t), nil, before)
}

func newHolderAt(t testing.TB, a *app, s *site, opts *bridge.ConnOptions, before func(br *browser)) *holder {
	t.Helper()
	h := &holder{finishing: make(chan error, 1), closes: record[bridge.ConnClose](t, a.Bridge)}
	ready := make(chan struct{})
	a.mux.Handle("/hold", a.PerConnection(func(ctx context.Context, c *bridge.Conn, s *bridge.Session) error {
		h.ctx, h.conn, h.s = ctx, c, s
		close(ready)
		err := <-h.finishing
		if p, ok := err.(panics); ok { //nolint:errorlint // the test's own
			panic(p)
		}
		return err
	}, opts))
	h.br = newBrowser(t, s)
	h.br.ok("/inc")
	if before != nil {
		before(h.br)
	}
	h.ws = h.br.dial("/hold").listen() // as a browser does: one that answers no ping is gone
	t.Cleanup(func() { close(h.finishing) })
	<-ready
	return h
}

// panics makes the function panic.
type panics struct{}

func (panics) Error() string { return "a panic that a test wants" }

// finish has the function return err, and waits until all of the connection is over.
func (h *holder) finish(err error) bridge.ConnClose {
	code := h.ws.whenClosed() // somebody reads, so that the close is answered
	h.finishing <- err
	defer func() { <-code }()
	return h.closes.next()
}

// value returns a value of the session as the connection holds it, nil for none.
func (h *holder) value(key string) any {
	v, _ := h.s.Get(key)
	return v
}
