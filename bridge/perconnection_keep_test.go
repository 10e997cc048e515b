package bridge_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// A connection that holds its session has nothing to go on with when that ends in this process, also where other connections are kept: its context ends at once, however rarely
// it is stored.
func TestPerConnectionEndsWithItsSessionWhereConnectionsAreKept(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(t *testing.T, a *app, h *holder)
		code int
	}{
		"by ID": {func(t *testing.T, a *app, h *holder) {
			t.Helper()
			was, err := a.DestroyByID(t.Context(), h.s.ID())
			require.NoError(t, err)
			require.True(t, was)
		}, bridge.CodeDestroyed},
		"by a page":   {func(_ *testing.T, _ *app, h *holder) { h.br.ok("/logout") }, bridge.CodeDestroyed},
		"by itself":   {func(_ *testing.T, _ *app, h *holder) { h.s.Destroy() }, bridge.CodeDestroyed},
		"by its time": {func(*testing.T, *app, *holder) { time.Sleep(24*time.Hour + 5*time.Minute) }, bridge.CodeExpired},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := makeApp(t, livestore.New(), &bridge.Options{OnSessionEnd: bridge.KeepConns})
				h := newHolderAt(t, a, a.serveInMemory(t), &bridge.ConnOptions{SaveEvery: bridge.Off, Heartbeat: bridge.Off}, nil)
				kept := h.br.dial("/ws").listen()
				code := h.ws.whenClosed()
				c.end(t, a, h)
				<-h.ctx.Done()
				require.Equal(t, c.code, <-code)
				h.finishing <- nil
				synctest.Wait()
				require.Len(t, conns(t, a.Bridge, bridge.ConnFilter{}), 1)
				require.Equal(t, `""`, kept.ask("id"))
			})
		})
	}
}
