package bridge_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
)

// A handshake that fails at its second look ends, though its client takes nothing of what it has been sent since (G12).
func TestG12_NobodyCanStallIt_HandshakeThatFailsWaitsForNoClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newFaultyStore()
		a := makeApp(t, st, &bridge.Options{MaxHandshakes: 1})
		a.mux.Handle("/slow", a.WebSocket(converse, &bridge.ConnOptions{WriteTimeout: bridge.Off}))
		br := newBrowser(t, a.serveInMemory(t))
		br.ok("/inc")
		look := newGate()
		st.next(2, "Get", func(ctx context.Context, _ func() error) error {
			return errors.Join(look.wait(ctx, func() error { return nil }), errors.New("the store is away"))
		})
		br.dial("/slow") // and reads nothing
		receive(t, look.reached)
		n, err := a.Notify(t.Context(), bridge.To{All: true}, []byte("hello"))
		require.NoError(t, err)
		require.Equal(t, 1, n)
		synctest.Wait() // it is being sent
		close(look.opened)
		time.Sleep(3 * time.Second)
		require.Zero(t, a.Stats().Conns)
		br.dial("/ws").ask("id") // there is room for the next one
	})
}
