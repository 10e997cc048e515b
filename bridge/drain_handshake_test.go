package bridge_test

import (
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
)

// http.Server.Shutdown knows nothing any more of a connection that has been upgraded, so the store may be closed as soon as the Bridge is shut down.
func TestShutdownWaitsForHandshakesThatAreUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newFaultyStore()
		a := makeApp(t, st, nil)
		br := newBrowser(t, a.serveInMemory(t))
		br.ok("/inc")
		late := newGate()
		st.next(2, "Get", late.wait) // after the upgrade
		ws := br.dial("/ws").listen()
		<-late.reached
		down := make(chan error, 1)
		go func() { down <- a.Shutdown(t.Context()) }()
		synctest.Wait()
		require.Empty(t, down, "the handshake asks the store")
		close(late.opened)
		require.NoError(t, <-down)
		require.Equal(t, bridge.CodeShutdown, ws.closed())
	})
}
