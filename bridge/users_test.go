package bridge_test

import (
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
)

// Stores with fewer capabilities than the one in memory: what isn't named here they don't have.
type (
	listingStore struct {
		store.Store
		store.Lister
	}
	activityStore struct {
		store.Store
		store.ActivityIndex
	}
)

// poorer returns st with all, some and nearly no capabilities, by name.
func poorer(st *livestore.Store) map[string]store.Store {
	return map[string]store.Store{
		"all indexes":   st,
		"activity only": activityStore{st, st},
		"list only":     listingStore{st, st},
	}
}

// signIn has a new client log in, and returns its cookies and its session's ID.
func signIn(t testing.TB, app http.Handler, user string) (pocket, string) {
	t.Helper()
	p := pocket{}
	require.Equal(t, http.StatusOK, p.get(t, app, "/login?user="+user).Code)
	return p, p.get(t, app, "/id").Body.String()
}

// listed returns the sessions that a filter means, in order.
func listed(t testing.TB, b *bridge.Bridge, f bridge.Filter) (all []bridge.Info) {
	t.Helper()
	for info, err := range b.Sessions(t.Context(), f) {
		require.NoError(t, err)
		all = append(all, info)
	}
	return all
}

func listedIDs(t testing.TB, b *bridge.Bridge, f bridge.Filter) (ids []string) {
	t.Helper()
	for _, info := range listed(t, b, f) {
		ids = append(ids, info.ID)
	}
	return ids
}

func TestSessionsAreListedNewestActivityFirstWithEveryIndex(t *testing.T) {
	for name := range poorer(nil) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBridge(t, poorer(livestore.New())[name], nil)
				app := b.Handler(newApp(b))
				adas, first := signIn(t, app, "ada")
				client, ok := b.ClientIDOf(first)
				require.True(t, ok)
				time.Sleep(time.Hour)
				_, bobs := signIn(t, app, "bob")
				time.Sleep(time.Hour)
				_, second := signIn(t, app, "ada")
				require.Equal(t, []string{second, bobs, first}, listedIDs(t, b, bridge.Filter{}))
				require.Equal(t, []string{second, first}, listedIDs(t, b, bridge.Filter{UserID: "ada"}))
				require.Equal(t, []string{second, bobs}, listedIDs(t, b, bridge.Filter{ActiveWithin: 90 * time.Minute}))
				require.Equal(t, []string{second}, listedIDs(t, b, bridge.Filter{ActiveWithin: 90 * time.Minute, UserID: "ada"}))
				require.Equal(t, []string{first}, listedIDs(t, b, bridge.Filter{ClientID: client}))
				require.Equal(t, []string{first}, listedIDs(t, b, bridge.Filter{ClientID: client, UserID: "ada"}))
				require.Empty(t, listedIDs(t, b, bridge.Filter{ClientID: client, UserID: "bob"}))
				require.Empty(t, listedIDs(t, b, bridge.Filter{UserID: "eve"}))
				time.Sleep(10 * time.Minute)
				require.Equal(t, first, adas.get(t, app, "/id").Body.String())
				require.Equal(t, []string{first, second, bobs}, listedIDs(t, b, bridge.Filter{}), "use moves a session to the front")
				time.Sleep(23*time.Hour + 30*time.Minute)
				require.Equal(t, []string{first, second}, listedIDs(t, b, bridge.Filter{}), "an expired session is none")
				require.Equal(t, 3, storedCountOf(t, b), "although it is still stored")
			})
		})
	}
}

// storedCountOf counts sessions by ending them, expired ones too: DestroyAll says how many were alive.
func storedCountOf(t testing.TB, b *bridge.Bridge) int {
	t.Helper()
	ended, err := b.DestroyAll(t.Context())
	require.NoError(t, err)
	return ended + int(b.Stats().Expired) //nolint:gosec // few
}

func TestInfoTellsWhatMayBeToldOfASession(t *testing.T) {
	st := livestore.New()
	b := newBridge(t, st, nil)
	s := serve(t, b.Handler(newApp(b)))
	br := newBrowser(t, s)
	br.get("/login?user=ada", "User-Agent", "Lynx")
	br.ok("/inc")
	ws := br.dial("/ws")
	require.Equal(t, "2", ws.ask("inc"))
	id := br.ok("/id")
	all := listed(t, b, bridge.Filter{UserID: "ada"})
	require.Len(t, all, 1)
	info, rec := all[0], stored(t, st, id)
	require.Equal(t, bridge.Info{
		ID: id, ClientID: rec.ClientID, UserID: "ada", Addr: "127.0.0.1", UserAgent: "Lynx",
		Created: rec.Created, Seen: rec.Seen, Expires: rec.Expires, Idle: 24 * time.Hour, Lifetime: 30 * 24 * time.Hour,
		Reads: info.Reads, Writes: 3, Bytes: len(`{"n":2}`), Conns: 1,
	}, info)
	require.NoError(t, ws.ws.CloseNow())
	require.Eventually(t, func() bool { return listed(t, b, bridge.Filter{})[0].Conns == 0 }, patience, time.Millisecond)
}

func TestReadsCountEveryLoadForUse(t *testing.T) {
	b := newBridge(t, livestore.New(), nil)
	app := b.Handler(newApp(b))
	p, id := signIn(t, app, "ada")
	reads := func() uint64 { return listed(t, b, bridge.Filter{})[0].Reads }
	before := reads()
	require.Equal(t, before, reads(), "listing is no use")
	p.get(t, app, "/get")
	require.Equal(t, before+1, reads(), "a request")
	p.get(t, app, "/plain")
	require.Equal(t, before+1, reads(), "a request that doesn't ask for its session")
	p.get(t, app, "/inc")
	require.Equal(t, before+3, reads(), "a request, and its WithSession")
	require.NoError(t, b.MergeByID(t.Context(), id, map[string]any{"k": 1}))
	require.Equal(t, before+4, reads(), "a WithSession by ID")
	_, err := b.GetByID(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, before+4, reads(), "looking at it is no use")
}

func TestSessionsStopWorkingWhenTheLoopStops(t *testing.T) {
	b := newBridge(t, livestore.New(), nil)
	app := b.Handler(newApp(b))
	for range 20 {
		signIn(t, app, "ada")
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
	require.Equal(t, listedIDs(t, b, bridge.Filter{UserID: "ada"}), pages)
}

func TestListingsWithoutTheCapabilityNameIt(t *testing.T) {
	b := newBridge(t, threeMethodStore{livestore.New()}, nil)
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
	b := newBridge(t, livestore.New(), nil)
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
	b := newBridge(t, st, nil)
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
	for name := range poorer(nil) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBridge(t, poorer(livestore.New())[name], nil)
				app := b.Handler(newApp(b))
				s := serveInMemory(t, app)
				activity := func(within time.Duration) bridge.Activity {
					a, err := b.Activity(t.Context(), within)
					require.NoError(t, err)
					return a
				}
				require.Equal(t, bridge.Activity{}, activity(time.Hour))
				br := newBrowser(t, s)
				br.ok("/login?user=ada")
				for range 2 {
					require.NotEmpty(t, br.dial("/ws").listen().ask("id"), "so that it is registered")
				}
				signIn(t, app, "ada")
				signIn(t, app, "bob")
				anonymous := pocket{}
				anonymous.get(t, app, "/inc")
				require.Equal(t, bridge.Activity{Users: 2, Sessions: 4, Conns: 2}, activity(time.Hour))
				time.Sleep(2 * time.Hour)
				anonymous.get(t, app, "/inc")
				require.Equal(t, bridge.Activity{Sessions: 1}, activity(time.Hour), "connections of sessions that are silent don't count")
				require.Equal(t, bridge.Activity{Users: 2, Sessions: 4, Conns: 2}, activity(3*time.Hour))
				require.NoError(t, b.SetByID(t.Context(), listed(t, b, bridge.Filter{UserID: "bob"})[0].ID, nil, time.Minute))
				time.Sleep(10 * time.Minute)
				require.Equal(t, bridge.Activity{Users: 1, Sessions: 3, Conns: 2}, activity(3*time.Hour), "an expired session doesn't count")
			})
		})
	}
}
