package bridge_test

import (
	"slices"
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
	"github.com/sessionbridge/sessionbridge/store"
)

func TestSessionsAreListedNewestActivityFirstWithEveryIndex(t *testing.T) {
	for name := range teststore.Poorer(nil) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := testkit.NewBridge(t, teststore.Poorer(livestore.New())[name], nil)
				app := b.Handler(testkit.NewMux(b))
				adas, first := testkit.SignIn(t, app, "ada")
				client, ok := b.ClientIDOf(first)
				require.True(t, ok)
				time.Sleep(time.Hour)
				_, bobs := testkit.SignIn(t, app, "bob")
				time.Sleep(time.Hour)
				_, second := testkit.SignIn(t, app, "ada")
				require.Equal(t, []string{second, bobs, first}, testkit.ListedIDs(t, b, bridge.Filter{}))
				require.Equal(t, []string{second, first}, testkit.ListedIDs(t, b, bridge.Filter{UserID: "ada"}))
				require.Equal(t, []string{second, bobs}, testkit.ListedIDs(t, b, bridge.Filter{ActiveWithin: 90 * time.Minute}))
				require.Equal(t, []string{second}, testkit.ListedIDs(t, b, bridge.Filter{ActiveWithin: 90 * time.Minute, UserID: "ada"}))
				require.Equal(t, []string{first}, testkit.ListedIDs(t, b, bridge.Filter{ClientID: client}))
				require.Equal(t, []string{first}, testkit.ListedIDs(t, b, bridge.Filter{ClientID: client, UserID: "ada"}))
				require.Empty(t, testkit.ListedIDs(t, b, bridge.Filter{ClientID: client, UserID: "bob"}))
				require.Empty(t, testkit.ListedIDs(t, b, bridge.Filter{UserID: "eve"}))
				time.Sleep(10 * time.Minute)
				require.Equal(t, first, adas.Get(t, app, "/id").Body.String())
				require.Equal(t, []string{first, second, bobs}, testkit.ListedIDs(t, b, bridge.Filter{}), "use moves a session to the front")
				time.Sleep(23*time.Hour + 30*time.Minute)
				require.Equal(t, []string{first, second}, testkit.ListedIDs(t, b, bridge.Filter{}), "an expired session is none")
				require.Equal(t, 3, storedCountOf(t, b), "although it is still stored")
			})
		})
	}
}

// storedCountOf counts sessions by ending them, expired ones too: DestroyAll says how many were
// alive.
func storedCountOf(t testing.TB, b *bridge.Bridge) int {
	t.Helper()
	ended, err := b.DestroyAll(t.Context())
	require.NoError(t, err)
	return ended + int(b.Stats().Expired) //nolint:gosec // few
}

func TestInfoTellsWhatMayBeToldOfASession(t *testing.T) {
	st := livestore.New()
	b := testkit.NewBridge(t, st, nil)
	s := webclient.Serve(t, b.Handler(testkit.NewMux(b)))
	br := webclient.NewBrowser(t, s)
	br.Get("/login?user=ada", "User-Agent", "Lynx")
	br.OK("/inc")
	ws := br.Dial("/ws")
	require.Equal(t, "2", ws.Ask("inc"))
	id := br.OK("/id")
	all := testkit.Listed(t, b, bridge.Filter{UserID: "ada"})
	require.Len(t, all, 1)
	info, rec := all[0], teststore.Stored(t, st, id)
	require.Equal(t, bridge.Info{
		ID: id, ClientID: rec.ClientID, UserID: "ada", Addr: "127.0.0.1", UserAgent: "Lynx",
		Created: rec.Created, Seen: rec.Seen, Expires: rec.Expires, Idle: 24 * time.Hour, Lifetime: 30 * 24 * time.Hour,
		ReadsHere: info.ReadsHere, Writes: 3, Revision: rec.Revision, Bytes: len(`{"n":2}`), Conns: 1,
	}, info)
	one, err := b.Info(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, info, one)
	require.NoError(t, ws.Conn.CloseNow())
	require.Eventually(t, func() bool { return testkit.Listed(t, b, bridge.Filter{})[0].Conns == 0 }, await.Limit, time.Millisecond)
}

func TestInfoOfOneSessionOnEveryStore(t *testing.T) {
	for name, makeStore := range stores {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				st, _ := makeStore()
				b := testkit.NewBridge(t, st, testkit.Expiring(time.Hour))
				app := b.Handler(testkit.NewMux(b))
				_, id := testkit.SignIn(t, app, "ada")
				testkit.SignIn(t, app, "ada")
				info, err := b.Info(t.Context(), id)
				require.NoError(t, err)
				require.Equal(t, id, info.ID)
				require.Equal(t, []bridge.Info{info}, testkit.Listed(t, b, bridge.Filter{SessionID: id, UserID: "ada"}))
				require.Empty(t, testkit.Listed(t, b, bridge.Filter{SessionID: id, UserID: "bob"}))
				require.Empty(t, testkit.Listed(t, b, bridge.Filter{SessionID: "unknown"}))
				_, err = b.Info(t.Context(), "unknown")
				require.ErrorIs(t, err, bridge.ErrSessionMissing)
				time.Sleep(2 * time.Hour)
				_, err = b.Info(t.Context(), id)
				require.ErrorIs(t, err, bridge.ErrSessionMissing)
				require.Empty(t, testkit.Listed(t, b, bridge.Filter{SessionID: id}))
			})
		})
	}
}

func TestReadsCountEveryLoadForUse(t *testing.T) {
	b := testkit.NewBridge(t, livestore.New(), nil)
	app := b.Handler(testkit.NewMux(b))
	p, id := testkit.SignIn(t, app, "ada")
	reads := func() uint64 { return testkit.Listed(t, b, bridge.Filter{})[0].ReadsHere }
	before := reads()
	require.Equal(t, before, reads(), "listing is no use")
	p.Get(t, app, "/get")
	require.Equal(t, before+1, reads(), "a request")
	p.Get(t, app, "/plain")
	require.Equal(t, before+1, reads(), "a request that doesn't ask for its session")
	p.Get(t, app, "/inc")
	require.Equal(t, before+2, reads(), "a request whose WithSession opens the session")
	_, err := b.MergeByID(t.Context(), id, map[string]any{"k": 1})
	require.NoError(t, err)
	require.Equal(t, before+3, reads(), "a WithSession by ID")
	_, err = b.GetByID(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, before+3, reads(), "looking at it is no use")
}

func TestSessionsStopWorkingWhenTheLoopStops(t *testing.T) {
	b := testkit.NewBridge(t, livestore.New(), nil)
	app := b.Handler(testkit.NewMux(b))
	for range 20 {
		testkit.SignIn(t, app, "ada")
	}
	page := func(skip, take int) (ids []string) {
		i := 0
		for info, err := range b.Sessions(t.Context(), bridge.Filter{UserID: "ada"}) {
			require.NoError(t, err)
			if i++; i > skip {
				ids = append(ids, info.ID)
			}
			if len(ids) == take {
				break
			}
		}
		return ids
	}
	pages := slices.Concat(page(0, 7), page(7, 7), page(14, 7))
	require.Equal(t, testkit.ListedIDs(t, b, bridge.Filter{UserID: "ada"}), pages)
}

func TestListingsWithoutTheCapabilityNameIt(t *testing.T) {
	b := testkit.NewBridge(t, teststore.Minimal{Store: livestore.New()}, nil)
	ctx := t.Context()
	n := 0
	for _, err := range b.Sessions(ctx, bridge.Filter{UserID: "ada"}) {
		require.ErrorIs(t, err, bridge.ErrUnsupported)
		require.ErrorContains(t, err, "store.ActivityIndex")
		n++
	}
	require.Equal(t, 1, n)
	_, err := b.Activity(ctx, time.Hour)
	require.ErrorIs(t, err, bridge.ErrUnsupported)
	require.ErrorContains(t, err, "store.ActiveLister")
	_, err = b.DestroyUser(ctx, "ada")
	require.ErrorIs(t, err, bridge.ErrUnsupported)
	require.ErrorContains(t, err, "store.UserIndex")
	_, err = b.DestroyAll(ctx)
	require.ErrorIs(t, err, bridge.ErrUnsupported)
	require.ErrorContains(t, err, "store.Lister")
}

func TestListingsRefuseTimesThatMeanNothing(t *testing.T) {
	b := testkit.NewBridge(t, livestore.New(), nil)
	for _, err := range b.Sessions(t.Context(), bridge.Filter{ActiveWithin: -1}) {
		require.ErrorContains(t, err, "ActiveWithin")
	}
	for _, within := range []time.Duration{0, -1} {
		_, err := b.Activity(t.Context(), within)
		require.ErrorContains(t, err, "more than 0")
	}
}

func TestListingOverABrokenStoreIsUnavailable(t *testing.T) {
	st := livestore.New()
	b := testkit.NewBridge(t, st, nil)
	require.NoError(t, st.Close())
	for _, err := range b.Sessions(t.Context(), bridge.Filter{}) {
		require.ErrorIs(t, err, bridge.ErrStoreUnavailable)
	}
	_, err := b.Activity(t.Context(), time.Hour)
	require.ErrorIs(t, err, bridge.ErrStoreUnavailable)
	_, err = b.DestroyUser(t.Context(), "ada")
	require.ErrorIs(t, err, bridge.ErrStoreUnavailable)
	require.ErrorIs(t, err, store.ErrClosed)
}

func TestActivityCountsUsersSessionsAndConnections(t *testing.T) {
	for name := range teststore.Poorer(nil) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := testkit.NewBridge(t, teststore.Poorer(livestore.New())[name], nil)
				app := b.Handler(testkit.NewMux(b))
				s := webclient.ServeInMemory(t, app)
				activity := func(within time.Duration) bridge.Activity {
					a, err := b.Activity(t.Context(), within)
					require.NoError(t, err)
					return a
				}
				require.Equal(t, bridge.Activity{}, activity(time.Hour))
				br := webclient.NewBrowser(t, s)
				br.OK("/login?user=ada")
				for range 2 {
					require.NotEmpty(t, br.Dial("/ws").Listen().Ask("id"), "so that it is registered")
				}
				testkit.SignIn(t, app, "ada")
				testkit.SignIn(t, app, "bob")
				anonymous := webclient.Pocket{}
				anonymous.Get(t, app, "/inc")
				require.Equal(t, bridge.Activity{Users: 2, Sessions: 4, Conns: 2}, activity(time.Hour))
				time.Sleep(2 * time.Hour)
				anonymous.Get(t, app, "/inc")
				require.Equal(t, bridge.Activity{Sessions: 1}, activity(time.Hour), "connections of sessions that are silent don't count")
				require.Equal(t, bridge.Activity{Users: 2, Sessions: 4, Conns: 2}, activity(3*time.Hour))
				require.NoError(t, b.SetByID(t.Context(), testkit.Listed(t, b, bridge.Filter{UserID: "bob"})[0].ID, nil, time.Minute))
				time.Sleep(10 * time.Minute)
				require.Equal(t, bridge.Activity{Users: 1, Sessions: 3, Conns: 2}, activity(3*time.Hour), "an expired session doesn't count")
			})
		})
	}
}

// TestActivityOfTheLastSecond is right, although it is recorded once a minute only.
func TestActivityOfTheLastSecond(t *testing.T) {
	for name := range teststore.Poorer(nil) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				st := livestore.New()
				a := testkit.NewApp(t, teststore.Poorer(st)[name], nil)
				app := a.Handler(a.Mux)
				ada, id := testkit.SignIn(t, app, "ada")
				_, bobs := testkit.SignIn(t, app, "bob")
				grace := webclient.NewBrowser(t, a.ServeInMemory(t))
				grace.OK("/login?user=grace")
				socket := grace.Dial("/ws")
				socket.Ask("id")
				graces := grace.OK("/id")
				time.Sleep(30 * time.Second)
				seen := teststore.Stored(t, st, id).Seen
				ada.Get(t, app, "/get")
				socket.Ask("id") // a message that doesn't use the session
				time.Sleep(500 * time.Millisecond)
				require.Equal(t, seen, teststore.Stored(t, st, id).Seen, "it isn't recorded")

				within := func(d time.Duration) (bridge.Activity, []string) {
					activity, err := a.Activity(t.Context(), d)
					require.NoError(t, err)
					return activity, testkit.ListedIDs(t, a.Bridge, bridge.Filter{ActiveWithin: d})
				}
				activity, ids := within(time.Second)
				require.Equal(t, bridge.Activity{Users: 2, Sessions: 2, Conns: 1}, activity)
				require.ElementsMatch(t, []string{id, graces}, ids)
				info := testkit.Listed(t, a.Bridge, bridge.Filter{ActiveWithin: time.Second, UserID: "ada"})
				require.Equal(t, []time.Time{time.Now().UTC().Add(-500 * time.Millisecond)}, []time.Time{info[0].Seen})
				activity, ids = within(time.Minute)
				require.Equal(t, bridge.Activity{Users: 3, Sessions: 3, Conns: 1}, activity)
				require.ElementsMatch(t, []string{id, graces, bobs}, ids)

				require.NoError(t, socket.Conn.CloseNow())
				synctest.Wait()
				activity, ids = within(time.Second)
				require.Equal(t, bridge.Activity{Users: 2, Sessions: 2}, activity, "a connection that has ended")
				require.ElementsMatch(t, []string{id, graces}, ids)

				ada.Get(t, app, "/logout")
				time.Sleep(time.Second)
				activity, ids = within(time.Second)
				require.Equal(t, bridge.Activity{}, activity)
				require.Empty(t, ids)
			})
		})
	}
}

// TestCallsByIDAreNoActivity of the last second either, unless they change the session.
func TestCallsByIDAreNoActivity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _, id := testkit.NewSessionOf(t, nil)
		time.Sleep(30 * time.Second)
		_, err := a.GetByID(t.Context(), id)
		require.NoError(t, err)
		require.NoError(t, a.Update(t, id, func(*bridge.Session) {}))
		require.Empty(t, testkit.ListedIDs(t, a.Bridge, bridge.Filter{ActiveWithin: time.Second}))
		require.NoError(t, a.Update(t, id, func(s *bridge.Session) { s.Set("k", 1) }))
		require.Equal(t, []string{id}, testkit.ListedIDs(t, a.Bridge, bridge.Filter{ActiveWithin: time.Second}))
	})
}
