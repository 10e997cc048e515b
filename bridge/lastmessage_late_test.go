package bridge_test

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

// What is sent when the handler has returned already leaves nothing behind on the Bridge's clock.
func TestG11_LastMessageAfterTheHandlerLeavesNoDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewApp(t, livestore.New(), &bridge.Options{LastMessage: func(bridge.SessionDestroy) []byte {
			time.Sleep(100 * time.Millisecond)
			return []byte("bye")
		}})
		a.Mux.Handle("/wait", a.WebSocket(func(ctx context.Context, _ *bridge.Conn) error {
			<-ctx.Done()
			return nil
		}, &bridge.ConnOptions{WriteTimeout: time.Hour}))
		br := webclient.NewBrowser(t, a.ServeInMemory(t))
		br.OK("/inc")
		id := br.OK("/id")
		deadlines := a.Deadlines()
		ws := br.Dial("/wait")
		synctest.Wait()
		_, err := a.DestroyByID(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, "bye", ws.Hear())
		<-ws.WhenClosed()
		time.Sleep(time.Second)
		require.Equal(t, deadlines, a.Deadlines())
	})
}
