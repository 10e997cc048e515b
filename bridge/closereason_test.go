package bridge_test

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/await"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// 1008 has several causes, and 4502 a remedy: without the reason whoever develops a client can't
// tell.
func TestClientIsToldWhyItIsClosed(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), &bridge.Options{MaxConnsPerSession: 1})
	a.Mux.Handle("/named", a.WebSocket(testkit.Converse, &bridge.ConnOptions{ID: func(*http.Request) string { return "kitchen" }}))
	a.Mux.Handle("/refuse", a.WebSocket(testkit.Converse, &bridge.ConnOptions{
		Name: func(*http.Request) string { return "kitchen" }, OnNameInUse: bridge.RefuseName,
	}))
	a.Mux.Handle("/needs", a.WebSocket(func(ctx context.Context, c *bridge.Conn) error {
		return c.WithSession(ctx, func(context.Context, *bridge.Session) error { return nil }, nil)
	}, nil))
	a.Mux.Handle("/fails", a.WebSocket(func(context.Context, *bridge.Conn) error { return errors.New("the password of ann is x") }, nil))
	site := a.Serve(t)
	br, guest := webclient.NewBrowser(t, site), webclient.NewBrowser(t, site)
	br.OK("/inc")

	require.Equal(t, websocket.CloseError{Code: bridge.CodeNoSession, Reason: "no session: ask for one over HTTP"}, closeFrame(t, guest.Dial("/needs")))
	require.Equal(t, websocket.CloseError{Code: bridge.CodeFailed}, closeFrame(t, guest.Dial("/fails")), "what the application says is its own business")
	br.Dial("/ws").Ask("id")
	require.Equal(t, websocket.CloseError{Code: bridge.CodePolicy, Reason: "the session has too many connections"}, closeFrame(t, br.Dial("/ws")))
	guest.Dial("/named").Ask("id")
	require.Equal(t, websocket.CloseError{Code: bridge.CodePolicy, Reason: "another connection has this ID"}, closeFrame(t, guest.Dial("/named")))
	guest.Dial("/refuse").Ask("id")
	require.Equal(t, websocket.CloseError{Code: bridge.CodePolicy, Reason: "another connection has this name"}, closeFrame(t, guest.Dial("/refuse")))
}

// Without a reason the client couldn't tell a refusal of the application's from a limit.
func TestClientIsToldThatItsChangeIsRefused(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), &bridge.Options{BeforeCommit: refuseBanned})
	a.Mux.Handle("/messages", a.Messages(
		func(_ context.Context, _ *bridge.Conn, _ bridge.Message, s *bridge.Session) error {
			s.Set("banned", true)
			return nil
		}, nil))
	a.Mux.Handle("/held", a.PerConnection(func(_ context.Context, _ *bridge.Conn, s *bridge.Session) error {
		s.Set("banned", true)
		return nil
	}, nil))
	br := webclient.NewBrowser(t, a.Serve(t))
	br.OK("/inc")
	refused := websocket.CloseError{Code: bridge.CodePolicy, Reason: "change refused"}
	messages := br.Dial("/messages")
	messages.Say("ban")
	require.Equal(t, refused, closeFrame(t, messages))
	require.Equal(t, refused, closeFrame(t, br.Dial("/held")))
}

func closeFrame(t *testing.T, s *webclient.Socket) (frame websocket.CloseError) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), await.Limit)
	defer cancel()
	_, err := s.Read(ctx)
	require.ErrorAs(t, err, &frame)
	return frame
}
