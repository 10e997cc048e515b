package bridge_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/await"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

func TestConnsTellWhoIsConnected(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), nil)
	site := a.Serve(t)
	ann, bob, nobody := webclient.NewBrowser(t, site), webclient.NewBrowser(t, site), webclient.NewBrowser(t, site)
	ann.OK("/login?user=ann")
	bob.OK("/login?user=bob")
	before := time.Now()
	one, two, third, none := ann.Dial("/ws"), ann.Dial("/ws"), bob.Dial("/ws"), nobody.Dial("/ws")
	for _, s := range []*webclient.Socket{one, two, third, none} {
		s.Ask("id") // it is registered
	}
	require.Len(t, testkit.Conns(t, a.Bridge, bridge.ConnFilter{}), 4)
	ofAnn := testkit.Conns(t, a.Bridge, bridge.ConnFilter{UserID: "ann"})
	require.Len(t, ofAnn, 2)
	c := ofAnn[0]
	require.Equal(t, ann.OK("/id"), c.SessionID)
	require.Equal(t, "ann", c.UserID)
	require.Equal(t, "127.0.0.1", c.Addr)
	require.Contains(t, c.UserAgent, "Go-http-client")
	require.WithinRange(t, c.ConnectedAt, before, time.Now())
	require.WithinRange(t, c.ActiveAt, c.ConnectedAt, time.Now())
	require.Equal(t, bridge.Traffic{Messages: 1, Bytes: 2}, c.Received)
	require.EqualValues(t, 1, c.Sent.Messages)

	require.Len(t, testkit.Conns(t, a.Bridge, bridge.ConnFilter{SessionID: c.SessionID}), 2)
	require.Len(t, testkit.Conns(t, a.Bridge, bridge.ConnFilter{ClientID: c.ClientID}), 2)
	require.Len(t, testkit.Conns(t, a.Bridge, bridge.ConnFilter{ClientID: c.ClientID, UserID: "bob"}), 0, "filters combine")
	require.Len(t, testkit.Conns(t, a.Bridge, bridge.ConnFilter{Addr: "127.0.0.1"}), 4)
	require.Len(t, testkit.Conns(t, a.Bridge, bridge.ConnFilter{Addr: "10.0.0.1"}), 0)
	require.Len(t, testkit.Conns(t, a.Bridge, bridge.ConnFilter{UserID: "constructor"}), 0)
	for c, err := range a.Conns(t.Context(), bridge.ConnFilter{}) {
		require.NoError(t, err)
		require.NotEmpty(t, c.ID)
		break // the loop may end early
	}
	ann.OK("/logout")
	testkit.OpenConns(t, a.Bridge, bridge.ConnFilter{UserID: "ann"}, 0)
}

func TestConnsTakeNoNegativeDurations(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), nil)
	for field, f := range map[string]bridge.ConnFilter{"OpenFor": {OpenFor: -1}, "QuietFor": {QuietFor: -1}} {
		for _, err := range a.Conns(t.Context(), f) {
			require.ErrorContains(t, err, field)
		}
		_, err := a.CloseConns(t.Context(), f, bridge.CodeIdle, "")
		require.ErrorContains(t, err, field, "-1 closes nothing, and certainly not all")
	}
	_, err := a.CloseConns(t.Context(), bridge.ConnFilter{}, bridge.CodeIdle, "")
	require.ErrorContains(t, err, "empty")
}

func TestCloseConnClosesOne(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), nil)
	br := webclient.NewBrowser(t, a.Serve(t))
	br.OK("/inc")
	one := br.Dial("/ws")
	one.Ask("id")
	id := testkit.Conns(t, a.Bridge, bridge.ConnFilter{})[0].ID
	two := br.Dial("/ws")
	two.Ask("id")
	closed, err := a.CloseConn(t.Context(), id, 4100, "go and come back")
	require.NoError(t, err)
	require.True(t, closed)
	require.Equal(t, 4100, one.Closed())
	two.Ask("id")
	testkit.OpenConns(t, a.Bridge, bridge.ConnFilter{}, 1)
	closed, err = a.CloseConn(t.Context(), id, 4100, "again")
	require.NoError(t, err)
	require.False(t, closed)
	for _, code := range []int{0, -1, 999, 1001, 1005, 1006, 1015, 2999, 5000} {
		_, err = a.CloseConn(t.Context(), id, code, "")
		require.Error(t, err, code)
	}
	_, err = a.CloseConn(t.Context(), id, 4100, strings.Repeat("x", 124))
	require.ErrorContains(t, err, "123")
	_, err = a.CloseConn(t.Context(), id, 4100, "\xff")
	require.ErrorContains(t, err, "UTF-8")
}

func TestCloseConnsPrunesByAgeAndIdleness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewApp(t, livestore.New(), nil)
		br := webclient.NewBrowser(t, a.ServeInMemory(t))
		br.OK("/inc")
		old := br.Dial("/ws").Listen()
		time.Sleep(10 * time.Minute)
		busy, quiet := br.Dial("/ws").Listen(), br.Dial("/ws").Listen()
		time.Sleep(5 * time.Minute)
		busy.Ask("id")
		old.Ask("id")
		synctest.Wait()
		n, err := a.CloseConns(t.Context(), bridge.ConnFilter{QuietFor: 4 * time.Minute}, 4200, "quiet")
		require.NoError(t, err)
		require.Equal(t, 1, n)
		require.Equal(t, 4200, quiet.Closed())
		n, err = a.CloseConns(t.Context(), bridge.ConnFilter{OpenFor: 15 * time.Minute}, 4201, "old")
		require.NoError(t, err)
		require.Equal(t, 1, n)
		require.Equal(t, 4201, old.Closed())
		busy.Ask("id")
	})
}

func TestConnHasDataOfTheApplication(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), nil)
	type device struct{ Name string }
	a.Mux.Handle("/device", a.WebSocket(func(ctx context.Context, c *bridge.Conn) error {
		if c.Data() != nil {
			return nil
		}
		c.SetData(device{"phone"})
		_, _, err := c.Read(ctx)
		return err
	}, &bridge.ConnOptions{ID: func(r *http.Request) string { return r.URL.Query().Get("id") }}))
	br := webclient.NewBrowser(t, a.Serve(t))
	br.Dial("/device?id=kitchen-1")
	require.Eventually(t, func() bool {
		c := testkit.Conns(t, a.Bridge, bridge.ConnFilter{})
		return len(c) == 1 && c[0].ID == "kitchen-1" && c[0].Data == device{"phone"}
	}, await.Limit, time.Millisecond)
}

func TestConnIDOfTheApplicationIsChecked(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), nil)
	a.Mux.Handle("/named", a.WebSocket(testkit.Converse, &bridge.ConnOptions{ID: func(r *http.Request) string { return r.URL.Query().Get("id") }}))
	br := webclient.NewBrowser(t, a.Serve(t))
	for _, bad := range []string{"a%20b", "a/b", "%C3%A4", strings.Repeat("x", 101), "a%00", "a.b"} {
		_, res, err := br.TryDial("/named?id="+bad, nil)
		require.Error(t, err)
		require.Equal(t, http.StatusBadRequest, res.StatusCode, bad)
	}
	first := br.Dial("/named?id=" + strings.Repeat("x", 100))
	first.Ask("id")
	require.Equal(t, bridge.CodePolicy, br.Dial("/named?id="+strings.Repeat("x", 100)).Closed(), "the ID is taken")
	first.Ask("id")
	one, other := br.Dial("/named"), br.Dial("/named")
	one.Ask("id")
	other.Ask("id")
	for _, c := range testkit.OpenConns(t, a.Bridge, bridge.ConnFilter{}, 3) {
		require.NotEmpty(t, c.ID)
	}
}
