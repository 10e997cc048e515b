package bridge_test

import (
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/teststore"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
)

// http.Server.Shutdown knows nothing any more of a connection that has been upgraded, so the store
// may be closed as soon as the Bridge is shut down.
func TestShutdownWaitsForHandshakesThatAreUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := teststore.NewFaulty()
		a := testkit.NewApp(t, st, nil)
		br := webclient.NewBrowser(t, a.ServeInMemory(t))
		br.OK("/inc")
		late := teststore.NewGate()
		st.Next(2, "Get", late.Wait) // after the upgrade
		ws := br.Dial("/ws").Listen()
		<-late.Reached
		down := make(chan error, 1)
		go func() { down <- a.Shutdown(t.Context()) }()
		synctest.Wait()
		require.Empty(t, down, "the handshake asks the store")
		close(late.Opened)
		require.NoError(t, <-down)
		require.Equal(t, bridge.CodeShutdown, ws.Closed())
	})
}
