package security_test

import (
	"net/http"
	"testing"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/await"
	"github.com/sessionbridge/sessionbridge/internal/testkit/teststore"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// TestCloseNamesTheLimitThatWasHit: of the address, not of the session.
func TestCloseNamesTheLimitThatWasHit(t *testing.T) {
	t.Parallel()
	st := teststore.NewFaulty()
	a := testkit.NewApp(t, st, &bridge.Options{MaxConnsPerAddr: 1})
	site := a.Serve(t)
	one, two := webclient.NewBrowser(t, site), webclient.NewBrowser(t, site)
	one.OK("/inc")
	two.OK("/inc")
	// Two concurrent handshakes: neither connection is registered yet when the limit is checked first.
	on := teststore.NewGate()
	st.Next(1, "Get", on.Wait)
	st.Next(2, "Get", on.Wait)
	closed := make(chan error, 2)
	for _, br := range []*webclient.Browser{one, two} {
		go func() {
			ws, _, err := br.TryDial("/ws", nil)
			if err == nil {
				_, _, err = ws.Conn.Read(t.Context())
			}
			closed <- err
		}()
	}
	await.Receive(t, on.Reached)
	await.Receive(t, on.Reached)
	close(on.Opened)
	var end websocket.CloseError
	require.ErrorAs(t, await.Receive(t, closed), &end)
	require.Equal(t, websocket.CloseError{
		Code: bridge.CodePolicy, Reason: "there are too many connections from the address",
	}, end)
	require.NoError(t, a.Shutdown(t.Context()))
	require.Error(t, await.Receive(t, closed))
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
		a := testkit.NewApp(t, livestore.New(), &c.opts)
		errs := make(chan error, 2)
		a.Mux.HandleFunc("/attach", func(_ http.ResponseWriter, r *http.Request) {
			_, err := a.Attach(r, func(int, string) {})
			errs <- err
		})
		p, h := webclient.Pocket{}, a.Handler(a.Mux)
		p.Get(t, h, "/inc")
		p.Get(t, h, "/attach")
		p.Get(t, h, "/attach")
		require.NoError(t, await.Receive(t, errs))
		err := await.Receive(t, errs)
		require.ErrorIs(t, err, c.is)
		require.ErrorIs(t, err, bridge.ErrTooManyConns)
		require.NotErrorIs(t, err, c.not)
		require.Equal(t, http.StatusTooManyRequests, bridge.HTTPStatus(err))
		require.Equal(t, bridge.CodePolicy, bridge.CloseCode(err))
	}
}
