package testkit

import (
	"context"
	"testing"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
)

// Holder is a connection of PerConnection. Its function returns when the test calls Finish; until
// then the test may use its arguments.
type Holder struct {
	Browser *webclient.Browser
	Socket  *webclient.Socket
	Context context.Context
	Conn    *bridge.Conn
	Session *bridge.Session

	Finishing chan error
	Closes    *Recorder[bridge.ConnClose]
}

// NewHolder serves the application and opens a connection in a browser with a session, which before
// may prepare.
func NewHolder(t testing.TB, a *App, before func(br *webclient.Browser)) *Holder {
	t.Helper()
	return NewHolderAt(t, a, a.Serve(t), nil, before)
}

// NewHolderAt opens a connection with options at a site that serves the application.
func NewHolderAt(
	t testing.TB, a *App, s *webclient.Site, opts *bridge.ConnOptions, before func(br *webclient.Browser),
) *Holder {
	t.Helper()
	h := &Holder{Finishing: make(chan error, 1), Closes: Record[bridge.ConnClose](t, a.Bridge)}
	ready := make(chan struct{})
	a.Mux.Handle("/hold", a.PerConnection(func(ctx context.Context, c *bridge.Conn, s *bridge.Session) error {
		h.Context, h.Conn, h.Session = ctx, c, s
		close(ready)
		err := <-h.Finishing
		if p, ok := err.(Panics); ok { //nolint:errorlint // never wrapped
			panic(p)
		}
		return err
	}, opts))
	h.Browser = webclient.NewBrowser(t, s)
	h.Browser.OK("/inc")
	if before != nil {
		before(h.Browser)
	}
	h.Socket = h.Browser.Dial("/hold").Listen() // answers pings
	t.Cleanup(func() { close(h.Finishing) })
	<-ready
	return h
}

// Finish makes the function return err, and waits for the end of the connection.
func (h *Holder) Finish(err error) bridge.ConnClose {
	code := h.Socket.WhenClosed() // reads, so that the close frame is answered
	h.Finishing <- err
	defer func() { <-code }()
	return h.Closes.Next()
}

// Value returns a value of the session as the connection sees it, nil for none.
func (h *Holder) Value(key string) any {
	v, _ := h.Session.Get(key)
	return v
}
