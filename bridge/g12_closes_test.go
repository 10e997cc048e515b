package bridge_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// Whoever has thousands of sockets on which nobody answers, and logs out, holds up nobody else's logout.
func TestG12_NobodyCanStallIt_ThousandsOfClosesThatNobodyAnswers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const deaf = 5000
		a := makeApp(t, livestore.New(), nil)
		a.mux.Handle("/deaf", a.WebSocket(func(ctx context.Context, _ *bridge.Conn) error { <-ctx.Done(); return nil }, nil))
		site := a.serveInMemory(t)
		mallory, ann := newBrowser(t, site), newBrowser(t, site)
		mallory.ok("/inc")
		ann.ok("/inc")
		for range deaf {
			mallory.dial("/deaf")
		}
		ws := ann.dial("/ws").listen()
		mallory.ok("/logout")
		synctest.Wait()
		start := time.Now()
		code := ws.whenClosed()
		ann.ok("/logout")
		<-code
		require.LessOrEqual(t, time.Since(start), 2*time.Second+100*time.Millisecond)
	})
}
