package bridge_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// A connection that holds its session has nothing to go on with when that ends in this process,
// also where other connections are kept: its context ends at once, however rarely it is stored.
func TestPerConnectionEndsWithItsSessionWhereConnectionsAreKept(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(t *testing.T, a *testkit.App, h *testkit.Holder)
		code int
	}{
		"by ID": {func(t *testing.T, a *testkit.App, h *testkit.Holder) {
			t.Helper()
			was, err := a.DestroyByID(t.Context(), h.Session.ID())
			require.NoError(t, err)
			require.True(t, was)
		}, bridge.CodeDestroyed},
		"by a page":   {func(_ *testing.T, _ *testkit.App, h *testkit.Holder) { h.Browser.OK("/logout") }, bridge.CodeDestroyed},
		"by itself":   {func(_ *testing.T, _ *testkit.App, h *testkit.Holder) { h.Session.Destroy() }, bridge.CodeDestroyed},
		"by its time": {func(*testing.T, *testkit.App, *testkit.Holder) { time.Sleep(24*time.Hour + 5*time.Minute) }, bridge.CodeExpired},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := testkit.NewApp(t, livestore.New(), &bridge.Options{OnSessionEnd: bridge.KeepConns})
				h := testkit.NewHolderAt(t, a, a.ServeInMemory(t), &bridge.ConnOptions{SaveEvery: bridge.Off, Heartbeat: bridge.Off}, nil)
				kept := h.Browser.Dial("/ws").Listen()
				code := h.Socket.WhenClosed()
				c.end(t, a, h)
				<-h.Context.Done()
				require.Equal(t, c.code, <-code)
				h.Finishing <- nil
				synctest.Wait()
				require.Len(t, testkit.Conns(t, a.Bridge, bridge.ConnFilter{}), 1)
				require.Equal(t, `""`, kept.Ask("id"))
			})
		})
	}
}
