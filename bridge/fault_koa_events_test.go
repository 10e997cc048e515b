package bridge_test

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
)

func TestKoaFault07_PanickingListenerCostsTheClientNothing(t *testing.T) {
	a := makeApp(t, livestore.New(), nil)
	site := a.serve(t)
	a.OnSessionSet(func(bridge.SessionSet) { panic("listener") })
	got := make(chan bridge.SessionSet, 2)
	a.OnSessionSet(func(ev bridge.SessionSet) { got <- ev })
	br := newBrowser(t, site)
	require.Equal(t, "1", br.ok("/inc"))
	require.True(t, receive(t, got).IsNew)
	require.Equal(t, "2", br.ok("/inc"))
	require.False(t, receive(t, got).IsNew, "and other listeners go on")
}

func TestKoaFault11_ForeignOriginIsRefused(t *testing.T) {
	site := makeApp(t, livestore.New(), nil).serve(t)
	br := newBrowser(t, site)
	_, res, err := br.tryDial("/ws", http.Header{"Origin": {"https://evil.example"}})
	require.Error(t, err)
	require.Equal(t, http.StatusForbidden, res.StatusCode)
}

func TestKoaFault11_FailingConnectionHandlerHurtsNobodyElse(t *testing.T) {
	a := makeApp(t, livestore.New(), nil)
	a.mux.Handle("/fails", a.WebSocket(func(context.Context, *bridge.Conn) error { return errors.New("at connect") }, nil))
	a.mux.Handle("/panics", a.WebSocket(func(context.Context, *bridge.Conn) error { panic("at connect") }, nil))
	br := newBrowser(t, a.serve(t))
	br.ok("/inc")
	bystander := br.dial("/ws")
	require.Equal(t, bridge.CodeFailed, br.dial("/fails").closed())
	require.Equal(t, bridge.CodeFailed, br.dial("/panics").closed())
	require.Equal(t, "2", bystander.ask("inc"))
	require.Equal(t, "3", br.ok("/inc"))
}

func TestKoaFault15_CleanupRunsByDefaultAndTouchesOnlyWhatExpired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newFaultyStore()
		a := makeApp(t, st, &bridge.Options{IdleTimeout: 12 * time.Hour})
		h := a.Handler(a.mux)
		const expired, living = 10, 1000
		for range expired {
			pocket{}.get(t, h, "/inc")
		}
		time.Sleep(11 * time.Hour)
		for range living {
			pocket{}.get(t, h, "/inc")
		}
		ends, cleanups := record[bridge.SessionDestroy](t, a.Bridge), record[bridge.Cleanup](t, a.Bridge)
		calls := st.counts()
		time.Sleep(5 * time.Hour) // nobody asks for anything
		synctest.Wait()
		cleared := 0
		for _, ev := range cleanups.rest() {
			cleared += ev.Cleared
		}
		require.Equal(t, expired, cleared)
		require.Equal(t, living, storedCount(t, st.Store))
		ended := ends.rest()
		require.Len(t, ended, expired)
		for _, ev := range ended {
			require.Equal(t, bridge.ReasonExpired, ev.Reason)
			require.Equal(t, bridge.ViaTime, ev.Via)
		}
		after := st.counts()
		require.Greater(t, after["Sweep"], calls["Sweep"], "by default it runs by itself")
		delete(after, "Sweep")
		delete(calls, "Sweep")
		require.Equal(t, calls, after, "no session was read, written or listed: the sweep returned what expired and nothing else")
		require.Equal(t, expired, st.swept)
	})
}

func TestKoaFault16_DestroyTellsAndClosesOpenSockets(t *testing.T) {
	for name, end := range map[string]func(t *testing.T, a *app, br *browser, id string){
		"logout": func(_ *testing.T, _ *app, br *browser, _ string) { br.ok("/logout") },
		"by ID": func(t *testing.T, a *app, _ *browser, id string) {
			was, err := a.DestroyByID(t.Context(), id)
			require.NoError(t, err)
			require.True(t, was)
		},
		"another socket": func(t *testing.T, _ *app, br *browser, _ string) { require.Equal(t, "0", br.dial("/ws").ask("logout")) },
	} {
		t.Run(name, func(t *testing.T) {
			a := makeApp(t, livestore.New(), nil)
			site := a.serve(t)
			br := newBrowser(t, site)
			br.ok("/login?user=ada")
			id := br.ok("/id")
			first, second := br.dial("/ws"), br.dial("/ws")
			require.Equal(t, strconv.Quote(id), first.ask("id"))
			bystander := newBrowser(t, site)
			bystander.ok("/inc")
			other := bystander.dial("/ws")
			end(t, a, br, id)
			require.Equal(t, bridge.CodeDestroyed, first.closed())
			require.Equal(t, bridge.CodeDestroyed, second.closed())
			require.Equal(t, "2", other.ask("inc"))
		})
	}
}
