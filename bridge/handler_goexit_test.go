package bridge_test

import (
	"context"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// As net/http does with a request's, a handler that ends its goroutine ends its connection: a test's FailNow does so.
func TestHandlerThatEndsItsGoroutineEndsItsConnection(t *testing.T) {
	a := makeApp(t, livestore.New(), nil)
	a.mux.Handle("/exit", a.WebSocket(func(context.Context, *bridge.Conn) error { runtime.Goexit(); return nil }, nil))
	a.mux.Handle("/exit/held", a.PerConnection(func(_ context.Context, _ *bridge.Conn, s *bridge.Session) error {
		s.Set("half", true)
		runtime.Goexit()
		return nil
	}, nil))
	br := newBrowser(t, a.serve(t))
	br.ok("/inc")
	for _, path := range []string{"/exit", "/exit/held"} {
		ended := record[bridge.ConnClose](t, a.Bridge)
		require.Equal(t, bridge.CodeFailed, br.dial(path).closed())
		require.Equal(t, bridge.CodeFailed, ended.next().Code)
		require.Empty(t, conns(t, a.Bridge, bridge.ConnFilter{}))
	}
	s, err := a.GetByID(t.Context(), br.ok("/id"))
	require.NoError(t, err)
	_, half := s.Get("half")
	require.False(t, half, "as after a panic")
}
