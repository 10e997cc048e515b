package bridge_test

import (
	"context"
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

// clientIndexStore has store.ClientIndex and no store.ClientOrder.
type clientIndexStore struct {
	store.Store
	store.ClientIndex
}

// forgetful is a client that keeps the client cookie and drops the session cookie, as a script does
// that costs a session at each visit.
type forgetful struct {
	t      *testing.T
	client string
}

// visit asks for the page as a client without a session, and returns the ID of the session that it
// gets.
func (f *forgetful) visit(h http.Handler, path string) (id string) {
	f.t.Helper()
	p := pocket{}
	if f.client != "" {
		p["sid.cid"] = f.client
	}
	require.Equal(f.t, http.StatusOK, p.get(f.t, h, path).Code)
	f.client = p["sid.cid"]
	return p.get(f.t, h, "/id").Body.String()
}

func TestAClientKeepsSixteenSessionsWithoutAUser(t *testing.T) {
	st := livestore.New()
	for name, narrow := range map[string]func() store.Store{
		"order": func() store.Store { return st },
		"index": func() store.Store { return clientIndexStore{st, st} },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBridge(t, narrow(), nil)
				h := b.Handler(newApp(b))
				ends := record[bridge.SessionDestroy](t, b)
				other := forgetful{t: t}
				others := other.visit(h, "/inc")
				script := forgetful{t: t}
				users := []string{script.visit(h, "/login?user=ada"), script.visit(h, "/login?user=ben")}
				var guests []string
				for range 40 {
					time.Sleep(time.Second)
					guests = append(guests, script.visit(h, "/inc"))
					synctest.Wait()
					kept := guests[max(len(guests)-16, 0):]
					for i, id := range guests {
						require.Equal(t, slices.Contains(kept, id), exists(t, b, id), "guest %d of %d", i, len(guests))
					}
				}
				for _, id := range append(users, others) {
					require.True(t, exists(t, b, id), "neither users' sessions nor another client's end for it")
				}
				for _, id := range guests[:24] {
					end := ends.next()
					require.Equal(t, id, end.SessionID)
					require.Equal(t, bridge.ReasonEvicted, end.Reason)
				}
			})
		})
	}
}

func TestMaxSessionsPerClientOffIsNoLimit(t *testing.T) {
	b := newBridge(t, livestore.New(), &bridge.Options{MaxSessionsPerClient: bridge.Off})
	h := b.Handler(newApp(b))
	script := forgetful{t: t}
	first := script.visit(h, "/inc")
	for range 40 {
		script.visit(h, "/inc")
	}
	require.True(t, exists(t, b, first))
}

// TestOneWhoHasLoggedInDoesntCount: a session that was a guest's is a user's since, and stays.
func TestOneWhoHasLoggedInDoesntCount(t *testing.T) {
	b := newBridge(t, livestore.New(), &bridge.Options{MaxSessionsPerClient: 2})
	h := b.Handler(newApp(b))
	ada := pocket{}
	ada.get(t, h, "/inc")
	require.Equal(t, http.StatusOK, ada.get(t, h, "/login?user=ada").Code)
	script := forgetful{t: t, client: ada["sid.cid"]}
	for range 5 {
		script.visit(h, "/inc")
	}
	require.Equal(t, "1", ada.get(t, h, "/get").Body.String())
	require.Len(t, listed(t, b, bridge.Filter{}), 3)
}

func TestMaxSessionsPerClientHoldsAcrossNodes(t *testing.T) {
	_, apps := makeNodes(t, 2, bridge.Options{MaxSessionsPerClient: 3})
	handlers := []http.Handler{apps[0].Handler(apps[0].mux), apps[1].Handler(apps[1].mux)}
	script := forgetful{t: t}
	for i := range 12 {
		script.visit(handlers[i%2], "/inc")
		require.LessOrEqual(t, len(listed(t, apps[0].Bridge, bridge.Filter{})), 3)
	}
}

func TestMaxSessionsPerClientNeedsAStoreThatFindsThem(t *testing.T) {
	_, err := bridge.New(threeMethodStore{livestore.New()}, &bridge.Options{MaxSessionsPerClient: 16})
	require.ErrorIs(t, err, bridge.ErrUnsupported)
	require.ErrorContains(t, err, "Options.MaxSessionsPerClient")
	require.ErrorContains(t, err, "store.ClientOrder")
	b := newBridge(t, threeMethodStore{livestore.New()}, nil) // the default asks for nothing
	h := b.Handler(newApp(b))
	script := forgetful{t: t}
	first := script.visit(h, "/inc")
	for range 20 {
		script.visit(h, "/inc")
	}
	require.True(t, exists(t, b, first))
}

// TestAStoreThatHangsAtTheLimitOfAClientKeepsNobodyFromEndingTheSession: the limit is looked after
// outside of the session's commit lock, and its failure is no failure of the request.
func TestAStoreThatHangsAtTheLimitOfAClientKeepsNobodyFromEndingTheSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newFaultyStore()
		b := newBridge(t, st, &bridge.Options{StoreTimeout: 2 * time.Second})
		h := b.Handler(newApp(b))
		failures := record[bridge.Failure](t, b)
		script := forgetful{t: t}
		script.visit(h, "/inc")
		st.always(hang, "SurplusByClient")
		answered := make(chan int)
		second := pocket{"sid.cid": script.client}
		go func() { answered <- second.get(t, h, "/inc").Code }()
		synctest.Wait()
		var fresh string
		for _, info := range listed(t, b, bridge.Filter{}) {
			if info.Seen.Equal(info.Created) && info.ID != "" {
				fresh = info.ID
			}
		}
		start := time.Now()
		was, err := b.DestroyByID(t.Context(), fresh)
		require.NoError(t, err)
		require.True(t, was)
		require.Zero(t, time.Since(start))
		require.Equal(t, http.StatusOK, <-answered)
		failure := failures.next()
		require.ErrorIs(t, failure.Err, bridge.ErrStoreUnavailable)
		require.Contains(t, failure.Doing, "MaxSessionsPerClient")
	})
}

// TestANewClientCostsNoLookAtItsSessions: it has none.
func TestANewClientCostsNoLookAtItsSessions(t *testing.T) {
	st := newFaultyStore()
	b := newBridge(t, st, nil)
	h := b.Handler(newApp(b))
	for range 20 {
		pocket{}.get(t, h, "/inc")
	}
	require.Zero(t, st.count("SurplusByClient"))
}

func TestByClientIDAsksTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, apps := makeNodes(t, 2, bridge.Options{})
		here, there := apps[0].serveInMemory(t), apps[1].serveInMemory(t)
		ada := newBrowser(t, here)
		ada.ok("/inc")
		first := ada.ok("/id")
		client, ok := apps[0].ClientIDOf(first)
		require.True(t, ok)
		synctest.Wait()
		h.node(0).set(true, false) // from now on it hears nothing of what others do
		time.Sleep(time.Second)
		ada.at(there).ok("/logout")
		ada.at(there).ok("/inc")
		second := ada.at(there).ok("/id")
		known, _ := apps[0].SessionIDOf(client)
		require.Equal(t, first, known, "the map of this process is behind")

		s, err := apps[0].GetByClientID(t.Context(), client)
		require.NoError(t, err)
		require.Equal(t, second, s.ID())
		require.NoError(t, apps[0].UpdateByClientID(t.Context(), client, func(ctx context.Context, s *bridge.Session) error {
			_, err := increment(ctx, s)
			return err
		}))
		require.Equal(t, "2", ada.at(there).ok("/get"))
		require.NoError(t, apps[0].SetByClientID(t.Context(), client, map[string]any{"n": 7}, 0))
		require.Equal(t, "7", ada.at(there).ok("/get"))
		was, err := apps[0].DestroyByClientID(t.Context(), client)
		require.NoError(t, err)
		require.True(t, was)
		require.False(t, exists(t, apps[1].Bridge, second))
		was, err = apps[0].DestroyByClientID(t.Context(), client)
		require.NoError(t, err)
		require.False(t, was)
	})
}

// TestByClientIDFindsTheSessionThatIsAlive: the newest has expired, and nobody has swept yet.
func TestByClientIDFindsTheSessionThatIsAlive(t *testing.T) {
	for name, narrow := range map[string]func(*livestore.Store) store.Store{
		"order": func(st *livestore.Store) store.Store { return st },
		"index": func(st *livestore.Store) store.Store { return clientIndexStore{st, st} },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBridge(t, narrow(livestore.New()), &bridge.Options{AutoCleanup: bridge.Off})
				mux := newApp(b)
				mux.HandleFunc("/short", sessionPage(b, func(s *bridge.Session) (any, error) {
					s.SetIdleTimeout(time.Minute)
					count.Set(s, 1)
					return "", nil
				}))
				h := b.Handler(mux)
				script := forgetful{t: t}
				oldest := script.visit(h, "/inc")
				client, _ := b.ClientIDOf(oldest)
				for range 5 {
					time.Sleep(time.Second)
					script.visit(h, "/short")
				}
				time.Sleep(2 * time.Minute)
				s, err := b.GetByClientID(t.Context(), client)
				require.NoError(t, err)
				require.Equal(t, oldest, s.ID())
			})
		})
	}
}

// TestClientMapFollowsOtherNodes_AnEndBeforeTheNodeIsToldOfTheClient: the node asks to be told in
// the background; what happens before that it looks up.
func TestClientMapFollowsOtherNodes_AnEndBeforeTheNodeIsToldOfTheClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, apps := makeNodes(t, 2, bridge.Options{})
		held := make(chan struct{})
		h.node(0).beforeHold = func() { <-held }
		ada := newBrowser(t, apps[0].serveInMemory(t))
		ada.ok("/inc")
		client, _ := apps[0].ClientIDOf(ada.ok("/id"))
		there := ada.at(apps[1].serveInMemory(t))
		there.ok("/logout")
		synctest.Wait()
		_, known := apps[0].SessionIDOf(client)
		require.True(t, known, "nobody has told")
		close(held)
		synctest.Wait()
		_, known = apps[0].SessionIDOf(client)
		require.False(t, known)
	})
}

// TestAStoreThatHangsAtAClientsNewestSessionIsUnavailable: the handshake's own deadline is the
// store's failure, and so is told as one.
func TestAStoreThatHangsAtAClientsNewestSessionIsUnavailable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, apps := makeNodes(t, 2, bridge.Options{StoreTimeout: 2 * time.Second})
		br := newBrowser(t, apps[0].serveInMemory(t))
		br.ok("/plain")
		synctest.Wait()
		h.node(0).newestHangs.Store(true)
		require.Equal(t, bridge.CodeUnavailable, <-br.dial("/ws").whenClosed())
	})
}
