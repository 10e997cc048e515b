package guarantees_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/await"
	"github.com/sessionbridge/sessionbridge/internal/testkit/teststore"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
)

// A handshake that fails at its second read of the session ends, although its client reads none of
// the messages sent since (G12).
func TestG12_NobodyCanStallIt_HandshakeThatFailsWaitsForNoClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := teststore.NewFaulty()
		a := testkit.NewApp(t, st, &bridge.Options{MaxHandshakes: 1})
		a.Mux.Handle("/slow", a.WebSocket(testkit.Converse, &bridge.ConnOptions{WriteTimeout: bridge.Off}))
		br := webclient.NewBrowser(t, a.ServeInMemory(t))
		br.OK("/inc")
		look := teststore.NewGate()
		st.Next(2, "Get", func(ctx context.Context, _ func() error) error {
			return errors.Join(look.Wait(ctx, func() error { return nil }), errors.New("the store is away"))
		})
		br.Dial("/slow") // and reads nothing
		await.Receive(t, look.Reached)
		n, err := a.Notify(t.Context(), bridge.To{All: true}, []byte("hello"))
		require.NoError(t, err)
		require.Equal(t, 1, n)
		synctest.Wait() // it is being sent
		close(look.Opened)
		time.Sleep(3 * time.Second)
		require.Zero(t, a.Stats().Conns)
		br.Dial("/ws").Ask("id") // there is room for the next one
	})
}
