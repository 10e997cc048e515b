package bridge_test

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// 1008 has several causes, and 4502 a remedy: without the reason whoever develops a client can't tell.
func TestClientIsToldWhyItIsClosed(t *testing.T) {
	a := makeApp(t, livestore.New(), &bridge.Options{MaxConnsPerSession: 1})
	a.mux.Handle("/named", a.WebSocket(converse, &bridge.ConnOptions{ID: func(*http.Request) string { return "kitchen" }}))
	a.mux.Handle("/needs", a.WebSocket(func(ctx context.Context, c *bridge.Conn) error {
		return c.WithSession(ctx, func(context.Context, *bridge.Session) error { return nil }, nil)
	}, nil))
	a.mux.Handle("/fails", a.WebSocket(func(context.Context, *bridge.Conn) error { return errors.New("the password of ann is x") }, nil))
	site := a.serve(t)
	br, guest := newBrowser(t, site), newBrowser(t, site)
	br.ok("/inc")

	require.Equal(t, websocket.CloseError{Code: bridge.CodeNoSession, Reason: "no session: ask for one over HTTP"}, closeFrame(t, guest.dial("/needs")))
	require.Equal(t, websocket.CloseError{Code: bridge.CodeFailed}, closeFrame(t, guest.dial("/fails")), "what the application says is its own business")
	br.dial("/ws").ask("id")
	require.Equal(t, websocket.CloseError{Code: bridge.CodePolicy, Reason: "the session has too many connections"}, closeFrame(t, br.dial("/ws")))
	guest.dial("/named").ask("id")
	require.Equal(t, websocket.CloseError{Code: bridge.CodePolicy, Reason: "the connection's name is taken"}, closeFrame(t, guest.dial("/named")))
}

func closeFrame(t *testing.T, s *socket) (frame websocket.CloseError) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, err := s.read(ctx)
	require.ErrorAs(t, err, &frame)
	return frame
}
