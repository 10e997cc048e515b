package peers_test

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
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/await"
	"github.com/sessionbridge/sessionbridge/internal/testkit/teststore"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

func TestKoaFault07_PanickingListenerCostsTheClientNothing(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), nil)
	site := a.Serve(t)
	a.OnSessionSet(func(bridge.SessionSet) { panic("listener") })
	got := make(chan bridge.SessionSet, 2)
	a.OnSessionSet(func(ev bridge.SessionSet) { got <- ev })
	br := webclient.NewBrowser(t, site)
	require.Equal(t, "1", br.OK("/inc"))
	require.True(t, await.Receive(t, got).IsNew)
	require.Equal(t, "2", br.OK("/inc"))
	require.False(t, await.Receive(t, got).IsNew, "and other listeners go on")
}

func TestKoaFault11_ForeignOriginIsRefused(t *testing.T) {
	site := testkit.NewApp(t, livestore.New(), nil).Serve(t)
	br := webclient.NewBrowser(t, site)
	_, res, err := br.TryDial("/ws", http.Header{"Origin": {"https://evil.example"}})
	require.Error(t, err)
	require.Equal(t, http.StatusForbidden, res.StatusCode)
}

func TestKoaFault11_FailingConnectionHandlerHurtsNobodyElse(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), nil)
	a.Mux.Handle("/fails", a.WebSocket(func(context.Context, *bridge.Conn) error { return errors.New("at connect") }, nil))
	a.Mux.Handle("/panics", a.WebSocket(func(context.Context, *bridge.Conn) error { panic("at connect") }, nil))
	br := webclient.NewBrowser(t, a.Serve(t))
	br.OK("/inc")
	bystander := br.Dial("/ws")
	require.Equal(t, bridge.CodeFailed, br.Dial("/fails").Closed())
	require.Equal(t, bridge.CodeFailed, br.Dial("/panics").Closed())
	require.Equal(t, "2", bystander.Ask("inc"))
	require.Equal(t, "3", br.OK("/inc"))
}

func TestKoaFault15_CleanupRunsByDefaultAndTouchesOnlyWhatExpired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := teststore.NewFaulty()
		a := testkit.NewApp(t, st, &bridge.Options{IdleTimeout: 12 * time.Hour})
		h := a.Handler(a.Mux)
		const expired, living = 10, 1000
		for range expired {
			webclient.Pocket{}.Get(t, h, "/inc")
		}
		time.Sleep(11 * time.Hour)
		for range living {
			webclient.Pocket{}.Get(t, h, "/inc")
		}
		ends, cleanups := testkit.Record[bridge.SessionDestroy](t, a.Bridge), testkit.Record[bridge.Cleanup](t, a.Bridge)
		calls := st.Counts()
		time.Sleep(5 * time.Hour) // without requests
		synctest.Wait()
		cleared := 0
		for _, ev := range cleanups.Rest() {
			cleared += ev.Cleared
		}
		require.Equal(t, expired, cleared)
		require.Equal(t, living, teststore.StoredCount(t, st.Store))
		ended := ends.Rest()
		require.Len(t, ended, expired)
		for _, ev := range ended {
			require.Equal(t, bridge.ReasonExpired, ev.Reason)
			require.Equal(t, bridge.ViaTime, ev.Via)
		}
		after := st.Counts()
		require.Greater(t, after["Sweep"], calls["Sweep"], "by default it runs by itself")
		delete(after, "Sweep")
		delete(calls, "Sweep")
		require.Equal(t, calls, after, "no session was read, written or listed: the sweep returned what expired and nothing else")
		require.Equal(t, expired, st.Swept)
	})
}

func TestKoaFault16_DestroyTellsAndClosesOpenSockets(t *testing.T) {
	for name, end := range map[string]func(t *testing.T, a *testkit.App, br *webclient.Browser, id string){
		"logout": func(_ *testing.T, _ *testkit.App, br *webclient.Browser, _ string) { br.OK("/logout") },
		"by ID": func(t *testing.T, a *testkit.App, _ *webclient.Browser, id string) {
			was, err := a.DestroyByID(t.Context(), id)
			require.NoError(t, err)
			require.True(t, was)
		},
		"another socket": func(t *testing.T, _ *testkit.App, br *webclient.Browser, _ string) {
			require.Equal(t, "0", br.Dial("/ws").Ask("logout"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := testkit.NewApp(t, livestore.New(), nil)
			site := a.Serve(t)
			br := webclient.NewBrowser(t, site)
			br.OK("/login?user=ada")
			id := br.OK("/id")
			first, second := br.Dial("/ws"), br.Dial("/ws")
			require.Equal(t, strconv.Quote(id), first.Ask("id"))
			bystander := webclient.NewBrowser(t, site)
			bystander.OK("/inc")
			other := bystander.Dial("/ws")
			end(t, a, br, id)
			require.Equal(t, bridge.CodeDestroyed, first.Closed())
			require.Equal(t, bridge.CodeDestroyed, second.Closed())
			require.Equal(t, "2", other.Ask("inc"))
		})
	}
}
