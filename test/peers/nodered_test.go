package peers_test

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/teststore"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// The features of node-red-contrib-fff-ws-session-manager, as docs/features.md lists them.

// deviceApp is an application whose connections bring a name, and get a config.
func deviceApp(t *testing.T) *testkit.App {
	t.Helper()
	a := testkit.NewApp(t, livestore.New(), nil)
	a.Mux.Handle("/device", a.WebSocket(func(ctx context.Context, c *bridge.Conn) error {
		c.SetData(map[string]string{"language": "es"})
		return testkit.Converse(ctx, c)
	}, &bridge.ConnOptions{ID: func(r *http.Request) string { return r.URL.Query().Get("id") }}))
	return a
}

func TestPeerNodeRed_ConnectUpdateListDisconnect(t *testing.T) {
	a := deviceApp(t)
	br := webclient.NewBrowser(t, a.Serve(t))
	br.OK("/inc")
	before := time.Now()
	kitchen, hall := br.Dial("/device?id=kitchen_1"), br.Dial("/device?id=hall-2") // connect
	kitchen.Ask("id")
	hall.Ask("id")
	require.Equal(t, bridge.CodePolicy, br.Dial("/device?id=kitchen_1").Closed(), "the first of a name stays")
	_, res, err := br.TryDial("/device?id=no%20name", nil)
	require.Error(t, err)
	require.Equal(t, http.StatusBadRequest, res.StatusCode)

	configs := func() map[string]any { // get_sessions
		all := map[string]any{}
		for _, c := range testkit.Conns(t, a.Bridge, bridge.ConnFilter{}) {
			require.WithinRange(t, c.ConnectedAt, before, time.Now())
			all[c.ID] = c.Data
		}
		return all
	}
	es := map[string]string{"language": "es"}
	testkit.OpenConns(t, a.Bridge, bridge.ConnFilter{}, 2)
	require.Equal(t, map[string]any{"kitchen_1": es, "hall-2": es}, configs())
	require.Equal(t, 2, a.Stats().Conns, "the status")

	it := map[string]string{"language": "it"}
	require.True(t, a.SetConnData("kitchen_1", it)) // update
	require.Equal(t, map[string]any{"kitchen_1": it, "hall-2": es}, configs())
	require.False(t, a.SetConnData("cellar", it))

	for _, was := range []bool{true, false} { // disconnect; of one that is unknown it is no error
		closed, err := a.CloseConn(t.Context(), "kitchen_1", 1000, "")
		require.NoError(t, err)
		require.Equal(t, was, closed)
	}
	require.Equal(t, 1000, kitchen.Closed())
	testkit.OpenConns(t, a.Bridge, bridge.ConnFilter{}, 1)
	require.Equal(t, map[string]any{"hall-2": es}, configs())
}

// timeout: by age, as in the peer, and by silence, which is what most users mean.
func TestPeerNodeRed_TimeoutSweepsByAgeOrSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := deviceApp(t)
		br := webclient.NewBrowser(t, a.ServeInMemory(t))
		br.OK("/inc")
		old := br.Dial("/device?id=old").Listen()
		time.Sleep(4 * time.Minute)
		young := br.Dial("/device?id=young").Listen()
		time.Sleep(time.Minute)
		old.Ask("id")
		young.Ask("id")
		n, err := a.CloseConns(t.Context(), bridge.ConnFilter{QuietFor: 5 * time.Minute}, bridge.CodeIdle, "")
		require.NoError(t, err)
		require.Zero(t, n, "who is active stays, however old")
		n, err = a.CloseConns(t.Context(), bridge.ConnFilter{OpenFor: 5 * time.Minute}, bridge.CodeIdle, "")
		require.NoError(t, err)
		require.Equal(t, 1, n)
		require.Equal(t, bridge.CodeIdle, old.ClosedEventually())
		young.Ask("id")
	})
}

// An unreadable session is reported by its ID, in the log and as a Failure, and no write replaces
// it.
func TestPeerNodeRed_UnreadableSessionIsReportedByIDAndLeftAlone(t *testing.T) {
	st := livestore.New()
	a := testkit.NewApp(t, st, nil)
	failures := testkit.Record[bridge.Failure](t, a.Bridge)
	site := a.Serve(t)
	br, other := webclient.NewBrowser(t, site), webclient.NewBrowser(t, site)
	br.OK("/inc")
	id := br.OK("/id")
	rec := teststore.Stored(t, st, id)
	rec.Data = []byte(`{"n":1,"k":"enciph`)
	_, err := st.Set(t.Context(), rec)
	require.NoError(t, err)
	broken := teststore.Stored(t, st, id)

	for _, path := range []string{"/get", "/inc", "/login?user=ada"} {
		require.Equal(t, http.StatusServiceUnavailable, br.Get(path).Status, path)
		f := failures.Next()
		require.Equal(t, id, f.SessionID)
		require.ErrorContains(t, f.Err, "JSON")
	}
	require.Error(t, testkit.Merge(t.Context(), a.Bridge, id, map[string]any{"k": 1}))
	require.Error(t, a.SetByID(t.Context(), id, map[string]any{"k": 1}, 0))
	after := teststore.Stored(t, st, id)
	require.Equal(t, broken.Data, after.Data)
	require.Equal(t, broken.Revision, after.Revision)
	require.Equal(t, "1", other.OK("/inc"), "others are none the worse for it")
	was, err := a.DestroyByID(t.Context(), id)
	require.NoError(t, err)
	require.True(t, was, "it can be ended")
}

// A change of one session costs one write of that session, however many sessions there are.
func TestPeerNodeRed_OneEventWritesOneSession(t *testing.T) {
	st := teststore.NewFaulty()
	a := testkit.NewApp(t, st, nil)
	h := a.Handler(a.Mux)
	for range 1000 {
		webclient.Pocket{}.Get(t, h, "/inc")
	}
	br := webclient.NewBrowser(t, webclient.Serve(t, h))
	br.OK("/inc")
	ws := br.Dial("/ws")
	ws.Ask("id")
	before := st.Counts()
	require.Equal(t, "2", ws.Ask("inc"))
	require.NoError(t, ws.Conn.CloseNow())
	testkit.OpenConns(t, a.Bridge, bridge.ConnFilter{}, 0)
	after := st.Counts()
	require.Equal(t, before["Set"]+1, after["Set"])
	require.LessOrEqual(t, after["Get"], before["Get"]+1)
	require.Equal(t, before["List"], after["List"])
}
