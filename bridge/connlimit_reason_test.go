package bridge_test

import (
	"net/http"
	"testing"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// TestCloseNamesTheLimitThatWasHit: of the address, not of the session.
func TestCloseNamesTheLimitThatWasHit(t *testing.T) {
	t.Parallel()
	st := newFaultyStore()
	a := makeApp(t, st, &bridge.Options{MaxConnsPerAddr: 1})
	site := a.serve(t)
	one, two := newBrowser(t, site), newBrowser(t, site)
	one.ok("/inc")
	two.ok("/inc")
	// Two handshakes at once: neither connection is there yet when the limit is looked at first.
	on := newGate()
	st.next(1, "Get", on.wait)
	st.next(2, "Get", on.wait)
	closed := make(chan error, 2)
	for _, br := range []*browser{one, two} {
		go func() {
			ws, _, err := br.tryDial("/ws", nil)
			if err == nil {
				_, _, err = ws.ws.Read(t.Context())
			}
			closed <- err
		}()
	}
	receive(t, on.reached)
	receive(t, on.reached)
	close(on.opened)
	var end websocket.CloseError
	require.ErrorAs(t, receive(t, closed), &end)
	require.Equal(t, websocket.CloseError{
		Code: bridge.CodePolicy, Reason: "there are too many connections from the address",
	}, end)
	require.NoError(t, a.Shutdown(t.Context()))
	require.Error(t, receive(t, closed))
}

func TestErrorNamesTheLimitThatWasHit(t *testing.T) {
	for _, c := range []struct {
		opts bridge.Options
		is   error
		not  error
	}{
		{bridge.Options{MaxConnsPerSession: 1}, bridge.ErrTooManySessionConns, bridge.ErrTooManyAddrConns},
		{bridge.Options{MaxConnsPerAddr: 1}, bridge.ErrTooManyAddrConns, bridge.ErrTooManySessionConns},
	} {
		a := makeApp(t, livestore.New(), &c.opts)
		errs := make(chan error, 2)
		a.mux.HandleFunc("/attach", func(_ http.ResponseWriter, r *http.Request) {
			_, err := a.Attach(r, func(int, string) {})
			errs <- err
		})
		p, h := pocket{}, a.Handler(a.mux)
		p.get(t, h, "/inc")
		p.get(t, h, "/attach")
		p.get(t, h, "/attach")
		require.NoError(t, receive(t, errs))
		err := receive(t, errs)
		require.ErrorIs(t, err, c.is)
		require.ErrorIs(t, err, bridge.ErrTooManyConns)
		require.NotErrorIs(t, err, c.not)
		require.Equal(t, http.StatusTooManyRequests, bridge.HTTPStatus(err))
		require.Equal(t, bridge.CodePolicy, bridge.CloseCode(err))
	}
}
