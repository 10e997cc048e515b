package bridge_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

func TestConnFindsOneOfMany(t *testing.T) {
	t.Parallel()
	a := testkit.NewApp(t, livestore.New(), nil)
	br := webclient.NewBrowser(t, a.Serve(t))
	br.OK("/login?user=ada")
	for range 3 {
		br.Dial("/ws").Ask("id")
	}
	for _, c := range testkit.Conns(t, a.Bridge, bridge.ConnFilter{}) {
		one, err := a.Conn(t.Context(), c.ID)
		require.NoError(t, err)
		require.Equal(t, c, one)
		require.Equal(t, []bridge.ConnInfo{c}, testkit.Conns(t, a.Bridge, bridge.ConnFilter{ID: c.ID, UserID: "ada"}))
		require.Empty(t, testkit.Conns(t, a.Bridge, bridge.ConnFilter{ID: c.ID, UserID: "bob"}))
	}
	for _, id := range []string{"", "unknown"} {
		_, err := a.Conn(t.Context(), id)
		require.ErrorIs(t, err, bridge.ErrConnMissing)
		require.Equal(t, http.StatusNotFound, bridge.HTTPStatus(err))
	}
	id := testkit.Conns(t, a.Bridge, bridge.ConnFilter{})[0].ID
	n, err := a.CloseConns(t.Context(), bridge.ConnFilter{ID: id}, 4100, "")
	require.NoError(t, err)
	require.Equal(t, 1, n)
	testkit.OpenConns(t, a.Bridge, bridge.ConnFilter{}, 2)
	_, err = a.Conn(t.Context(), id)
	require.ErrorIs(t, err, bridge.ErrConnMissing)
}

// named adds sockets whose names are users with the query's tab, with each policy.
func named(a *testkit.App) {
	for path, policy := range map[string]bridge.NamePolicy{
		"/share": bridge.ShareName, "/refuse": bridge.RefuseName, "/replace": bridge.ReplaceName,
	} {
		a.Mux.Handle(path, a.WebSocket(testkit.Converse, &bridge.ConnOptions{
			OnNameInUse: policy,
			Name: func(r *http.Request) string {
				s, err := a.Session(r)
				if err != nil || s.UserID() == "" {
					return r.URL.Query().Get("tab")
				}
				return s.UserID() + ":" + r.URL.Query().Get("tab")
			},
		}))
	}
}

func TestConnNames(t *testing.T) {
	t.Parallel()
	a := testkit.NewApp(t, livestore.New(), nil)
	named(a)
	br := webclient.NewBrowser(t, a.Serve(t))
	br.OK("/login?user=ada")
	first := br.Dial("/refuse?tab=1")
	first.Ask("id")
	f := bridge.ConnFilter{Name: "ada:1"}
	require.Equal(t, "ada:1", testkit.OpenConns(t, a.Bridge, f, 1)[0].Name)
	require.Equal(t, bridge.CodePolicy, br.Dial("/refuse?tab=1").Closed(), "the name is in use")
	first.Ask("id")
	other := br.Dial("/refuse?tab=2")
	other.Ask("id")
	br.Dial("/share?tab=1").Ask("id")
	testkit.OpenConns(t, a.Bridge, f, 2)
	newest := br.Dial("/replace?tab=1")
	newest.Ask("id")
	require.Equal(t, bridge.CodePolicy, first.Closed())
	testkit.OpenConns(t, a.Bridge, f, 1)
	testkit.OpenConns(t, a.Bridge, bridge.ConnFilter{}, 2)
	n, err := a.CloseConns(t.Context(), f, 4100, "")
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.Equal(t, 4100, newest.Closed())

	for _, bad := range []string{strings.Repeat("x", 101), "\x00", "a\nb", "\xff"} {
		_, res, err := webclient.NewBrowser(t, a.Serve(t)).TryDial("/share?tab="+url.QueryEscape(bad), nil)
		require.Error(t, err)
		require.Equal(t, http.StatusBadRequest, res.StatusCode, "%q", bad)
	}
	br.OK("/logout")
	require.Equal(t, bridge.CodeDestroyed, other.Closed())
	br.Dial("/refuse?tab=").Ask("id")
	br.Dial("/refuse?tab=").Ask("id")
	for _, c := range testkit.OpenConns(t, a.Bridge, bridge.ConnFilter{}, 2) {
		require.Empty(t, c.Name)
	}
}

// A page that is reloaded comes back before the end of its connection arrives, and before the
// connection's handler has returned.
func TestConnNameOfAReloadedPage(t *testing.T) {
	tab := func(*http.Request) string { return "tab" }
	for name, opts := range map[string]bridge.ConnOptions{
		"name": {OnNameInUse: bridge.RefuseName, Name: tab},
		"ID":   {ID: tab},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := testkit.NewApp(t, livestore.New(), nil)
				a.Mux.Handle("/push", a.WebSocket(func(ctx context.Context, c *bridge.Conn) error {
					defer time.Sleep(100 * time.Millisecond)
					return testkit.PushOnly(ctx, c)
				}, &opts))
				br := webclient.NewBrowser(t, a.ServeInMemory(t))
				for range 3 {
					ws := br.Dial("/push")
					require.Equal(t, "open", ws.Hear())
					require.NoError(t, ws.Conn.CloseNow())
				}
			})
		})
	}
}

func TestLinkNames(t *testing.T) {
	t.Parallel()
	a := testkit.NewApp(t, livestore.New(), nil)
	closed := make(chan string, 10)
	attach := func(o bridge.LinkOptions) (link *bridge.Link, err error) {
		a.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			link, err = a.AttachWith(r, o, func(code int, _ string) { closed <- fmt.Sprint(o.ID, code) })
		})).ServeHTTP(httptest.NewRecorder(), webclient.Request(t, "/"))
		return link, err
	}
	first, err := attach(bridge.LinkOptions{ID: "one", Name: "stream"})
	require.NoError(t, err)
	defer first.Detach()
	require.Equal(t, "one", first.ID())
	require.Equal(t, "stream", first.Name())
	for name, c := range map[string]struct {
		o      bridge.LinkOptions
		is     error
		status int
	}{
		"an ID in use":   {bridge.LinkOptions{ID: "one"}, bridge.ErrConnID, http.StatusConflict},
		"a bad ID":       {bridge.LinkOptions{ID: "a b"}, bridge.ErrConnID, http.StatusBadRequest},
		"a name in use":  {bridge.LinkOptions{Name: "stream", OnNameInUse: bridge.RefuseName}, bridge.ErrConnName, http.StatusConflict},
		"a bad name":     {bridge.LinkOptions{Name: "a\tb"}, bridge.ErrConnName, http.StatusBadRequest},
		"no such policy": {bridge.LinkOptions{OnNameInUse: 3}, nil, http.StatusInternalServerError},
	} {
		_, err := attach(c.o)
		require.Error(t, err, name)
		if c.is != nil {
			require.ErrorIs(t, err, c.is, name)
		}
		require.Equal(t, c.status, bridge.HTTPStatus(err), name)
		require.Equal(t, c.is != nil, bridge.CloseCode(err) == bridge.CodePolicy, name)
		_, err = a.AttachRemote(t.Context(), bridge.Remote{
			ID: c.o.ID, Name: c.o.Name, OnNameInUse: c.o.OnNameInUse, Lease: time.Hour,
		})
		require.Error(t, err, name)
		require.Equal(t, c.status, bridge.HTTPStatus(err), name)
	}
	require.Empty(t, closed)
	second, err := attach(bridge.LinkOptions{ID: "two", Name: "stream", OnNameInUse: bridge.ReplaceName})
	require.NoError(t, err)
	defer second.Detach()
	require.Equal(t, fmt.Sprint("one", bridge.CodePolicy), <-closed)
	<-first.Context().Done()
	require.Equal(t, "two", testkit.Conns(t, a.Bridge, bridge.ConnFilter{Name: "stream"})[0].ID)
	_, err = a.Conn(t.Context(), "two")
	require.NoError(t, err)
	device, err := a.AttachRemote(t.Context(), bridge.Remote{
		ID: "three", Name: "stream", OnNameInUse: bridge.ReplaceName, Lease: time.Hour,
	})
	require.NoError(t, err)
	defer device.Detach()
	require.Equal(t, fmt.Sprint("two", bridge.CodePolicy), <-closed)
	<-second.Context().Done()
	require.Equal(t, "three", testkit.Conns(t, a.Bridge, bridge.ConnFilter{Name: "stream"})[0].ID)
}

func TestConnNamePolicyIsChecked(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), nil)
	a.Mux.Handle("/bad", a.WebSocket(testkit.Converse, &bridge.ConnOptions{OnNameInUse: 3}))
	_, res, err := webclient.NewBrowser(t, a.Serve(t)).TryDial("/bad", nil)
	require.Error(t, err)
	require.Equal(t, http.StatusInternalServerError, res.StatusCode)
}

// Of many that come at once with one name, one is left.
func TestConnNameIsUniqueHoweverManyComeAtOnce(t *testing.T) {
	for _, path := range []string{"/refuse?tab=1", "/replace?tab=1"} {
		t.Run(path, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := testkit.NewApp(t, livestore.New(), nil)
				named(a)
				br := webclient.NewBrowser(t, a.ServeInMemory(t))
				br.OK("/login?user=ada")
				var all sync.WaitGroup
				for range 10 {
					all.Go(func() {
						ws, _, err := br.TryDial(path, nil)
						if err == nil {
							ws.Listen()
						}
					})
				}
				all.Wait()
				time.Sleep(time.Minute)
				require.Len(t, testkit.Conns(t, a.Bridge, bridge.ConnFilter{}), 1)
			})
		})
	}
}

// Functions of ConnOptions that panic leave nothing behind: the handshake's place is free again.
func TestPanicsOfNameAndID(t *testing.T) {
	for _, which := range []string{"id", "name"} {
		b := testkit.NewBridge(t, livestore.New(), &bridge.Options{MaxHandshakes: 1})
		panics := func(*http.Request) string { panic(http.ErrAbortHandler) }
		o := &bridge.ConnOptions{Name: panics}
		if which == "id" {
			o = &bridge.ConnOptions{ID: panics}
		}
		ws := b.Handler(b.WebSocket(testkit.PushOnly, o))
		for range 3 {
			require.PanicsWithValue(t, http.ErrAbortHandler, func() {
				webclient.Pocket{}.Send(ws, webclient.UpgradeRequest(t, "/"))
			})
		}
	}
}
