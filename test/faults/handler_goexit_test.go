package faults_test

import (
	"context"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// A handler that ends its goroutine, as a test's FailNow does, ends its connection, as with a
// request in net/http.
func TestHandlerThatEndsItsGoroutineEndsItsConnection(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), nil)
	a.Mux.Handle("/exit", a.WebSocket(func(context.Context, *bridge.Conn) error { runtime.Goexit(); return nil }, nil))
	a.Mux.Handle("/exit/held", a.PerConnection(func(_ context.Context, _ *bridge.Conn, s *bridge.Session) error {
		s.Set("half", true)
		runtime.Goexit()
		return nil
	}, nil))
	br := webclient.NewBrowser(t, a.Serve(t))
	br.OK("/inc")
	for _, path := range []string{"/exit", "/exit/held"} {
		ended := testkit.Record[bridge.ConnClose](t, a.Bridge)
		require.Equal(t, bridge.CodeFailed, br.Dial(path).Closed())
		require.Equal(t, bridge.CodeFailed, ended.Next().Code)
		require.Empty(t, testkit.Conns(t, a.Bridge, bridge.ConnFilter{}))
	}
	s, err := a.GetByID(t.Context(), br.OK("/id"))
	require.NoError(t, err)
	_, half := s.Get("half")
	require.False(t, half, "as after a panic")
}
