package guarantees_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// The logout of a user with thousands of sockets that don't answer delays no other user's logout.
func TestG12_NobodyCanStallIt_ThousandsOfClosesThatNobodyAnswers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const deaf = 5000
		a := testkit.NewApp(t, livestore.New(), nil)
		a.Mux.Handle("/deaf", a.WebSocket(func(ctx context.Context, _ *bridge.Conn) error { <-ctx.Done(); return nil }, nil))
		site := a.ServeInMemory(t)
		mallory, ann := webclient.NewBrowser(t, site), webclient.NewBrowser(t, site)
		mallory.OK("/inc")
		ann.OK("/inc")
		for range deaf {
			mallory.Dial("/deaf")
		}
		ws := ann.Dial("/ws").Listen()
		mallory.OK("/logout")
		synctest.Wait()
		start := time.Now()
		code := ws.WhenClosed()
		ann.OK("/logout")
		<-code
		require.LessOrEqual(t, time.Since(start), 2*time.Second+100*time.Millisecond)
	})
}
