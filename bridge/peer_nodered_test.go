package bridge_test

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// What users of node-red-contrib-fff-ws-session-manager have, and docs/features.md lists.

// deviceApp is an application whose connections bring a name, and get a config.
func deviceApp(t *testing.T) *app {
	t.Helper()
	a := makeApp(t, livestore.New(), nil)
	a.mux.Handle("/device", a.WebSocket(func(ctx context.Context, c *bridge.Conn) error {
		c.SetData(map[string]string{"language": "es"})
		return converse(ctx, c)
	}, &bridge.ConnOptions{ID: func(r *http.Request) string { return r.URL.Query().Get("id") }}))
	return a
}

func TestPeerNodeRed_ConnectUpdateListDisconnect(t *testing.T) {
	a := deviceApp(t)
	br := newBrowser(t, a.serve(t))
	br.ok("/inc")
	before := time.Now()
	kitchen, hall := br.dial("/device?id=kitchen_1"), br.dial("/device?id=hall-2") // connect
	kitchen.ask("id")
	hall.ask("id")
	require.Equal(t, bridge.CodePolicy, br.dial("/device?id=kitchen_1").closed(), "the first of a name stays")
	_, res, err := br.tryDial("/device?id=no%20name", nil)
	require.Error(t, err)
	require.Equal(t, http.StatusBadRequest, res.StatusCode)

	configs := func() map[string]any { // get_sessions
		all := map[string]any{}
		for _, c := range conns(t, a.Bridge, bridge.ConnFilter{}) {
			require.WithinRange(t, c.ConnectedAt, before, time.Now())
			all[c.ID] = c.Data
		}
		return all
	}
	es := map[string]string{"language": "es"}
	openConns(t, a.Bridge, bridge.ConnFilter{}, 2)
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
	require.Equal(t, 1000, kitchen.closed())
	openConns(t, a.Bridge, bridge.ConnFilter{}, 1)
	require.Equal(t, map[string]any{"hall-2": es}, configs())
}

// timeout, by age as there, and by silence, which is what is most often meant.
func TestPeerNodeRed_TimeoutSweepsByAgeOrSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := deviceApp(t)
		br := newBrowser(t, a.serveInMemory(t))
		br.ok("/inc")
		old := br.dial("/device?id=old").listen()
		time.Sleep(4 * time.Minute)
		young := br.dial("/device?id=young").listen()
		time.Sleep(time.Minute)
		old.ask("id")
		young.ask("id")
		n, err := a.CloseConns(t.Context(), bridge.ConnFilter{QuietFor: 5 * time.Minute}, bridge.CodeIdle, "")
		require.NoError(t, err)
		require.Zero(t, n, "who is active stays, however old")
		n, err = a.CloseConns(t.Context(), bridge.ConnFilter{OpenFor: 5 * time.Minute}, bridge.CodeIdle, "")
		require.NoError(t, err)
		require.Equal(t, 1, n)
		require.Equal(t, bridge.CodeIdle, old.closedEventually())
		young.ask("id")
	})
}

// An entry that can't be read is reported by its ID, on both channels, and no write replaces it.
func TestPeerNodeRed_UnreadableSessionIsReportedByIDAndLeftAlone(t *testing.T) {
	st := livestore.New()
	a := makeApp(t, st, nil)
	failures := record[bridge.Failure](t, a.Bridge)
	site := a.serve(t)
	br, other := newBrowser(t, site), newBrowser(t, site)
	br.ok("/inc")
	id := br.ok("/id")
	rec := stored(t, st, id)
	rec.Data = []byte(`{"n":1,"k":"enciph`)
	_, err := st.Set(t.Context(), rec)
	require.NoError(t, err)
	broken := stored(t, st, id)

	for _, path := range []string{"/get", "/inc", "/login?user=ada"} {
		require.Equal(t, http.StatusServiceUnavailable, br.get(path).status, path)
		f := failures.next()
		require.Equal(t, id, f.SessionID)
		require.ErrorContains(t, f.Err, "JSON")
	}
	require.Error(t, a.MergeByID(t.Context(), id, map[string]any{"k": 1}))
	require.Error(t, a.SetByID(t.Context(), id, map[string]any{"k": 1}, 0))
	after := stored(t, st, id)
	require.Equal(t, broken.Data, after.Data)
	require.Equal(t, broken.Revision, after.Revision)
	require.Equal(t, "1", other.ok("/inc"), "others are none the worse for it")
	was, err := a.DestroyByID(t.Context(), id)
	require.NoError(t, err)
	require.True(t, was, "it can be ended")
}

// What is done to one session costs one write of it, however many there are.
func TestPeerNodeRed_OneEventWritesOneSession(t *testing.T) {
	st := newFaultyStore()
	a := makeApp(t, st, nil)
	h := a.Handler(a.mux)
	for range 1000 {
		pocket{}.get(t, h, "/inc")
	}
	br := newBrowser(t, serve(t, h))
	br.ok("/inc")
	ws := br.dial("/ws")
	ws.ask("id")
	before := st.counts()
	require.Equal(t, "2", ws.ask("inc"))
	require.NoError(t, ws.ws.CloseNow())
	openConns(t, a.Bridge, bridge.ConnFilter{}, 0)
	after := st.counts()
	require.Equal(t, before["Set"]+1, after["Set"])
	require.LessOrEqual(t, after["Get"], before["Get"]+1)
	require.Equal(t, before["List"], after["List"])
}
