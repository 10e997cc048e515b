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
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/teststore"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
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
	p := webclient.Pocket{}
	if f.client != "" {
		p["sid.cid"] = f.client
	}
	require.Equal(f.t, http.StatusOK, p.Get(f.t, h, path).Code)
	f.client = p["sid.cid"]
	return p.Get(f.t, h, "/id").Body.String()
}

func TestAClientKeepsSixteenSessionsWithoutAUser(t *testing.T) {
	st := livestore.New()
	for name, narrow := range map[string]func() store.Store{
		"order": func() store.Store { return st },
		"index": func() store.Store { return clientIndexStore{st, st} },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := testkit.NewBridge(t, narrow(), nil)
				h := b.Handler(testkit.NewMux(b))
				ends := testkit.Record[bridge.SessionDestroy](t, b)
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
						require.Equal(t, slices.Contains(kept, id), testkit.SessionExists(t, b, id), "guest %d of %d", i, len(guests))
					}
				}
				for _, id := range append(users, others) {
					require.True(t, testkit.SessionExists(t, b, id), "neither users' sessions nor another client's end for it")
				}
				for _, id := range guests[:24] {
					end := ends.Next()
					require.Equal(t, id, end.SessionID)
					require.Equal(t, bridge.ReasonEvicted, end.Reason)
				}
			})
		})
	}
}

func TestMaxSessionsPerClientOffIsNoLimit(t *testing.T) {
	b := testkit.NewBridge(t, livestore.New(), &bridge.Options{MaxSessionsPerClient: bridge.Off})
	h := b.Handler(testkit.NewMux(b))
	script := forgetful{t: t}
	first := script.visit(h, "/inc")
	for range 40 {
		script.visit(h, "/inc")
	}
	require.True(t, testkit.SessionExists(t, b, first))
}

// TestOneWhoHasLoggedInDoesntCount: a session that was a guest's is a user's since, and stays.
func TestOneWhoHasLoggedInDoesntCount(t *testing.T) {
	b := testkit.NewBridge(t, livestore.New(), &bridge.Options{MaxSessionsPerClient: 2})
	h := b.Handler(testkit.NewMux(b))
	ada := webclient.Pocket{}
	ada.Get(t, h, "/inc")
	require.Equal(t, http.StatusOK, ada.Get(t, h, "/login?user=ada").Code)
	script := forgetful{t: t, client: ada["sid.cid"]}
	for range 5 {
		script.visit(h, "/inc")
	}
	require.Equal(t, "1", ada.Get(t, h, "/get").Body.String())
	require.Len(t, testkit.Listed(t, b, bridge.Filter{}), 3)
}

func TestMaxSessionsPerClientHoldsAcrossNodes(t *testing.T) {
	_, apps := testkit.NewNodes(t, 2, bridge.Options{MaxSessionsPerClient: 3})
	handlers := []http.Handler{apps[0].Handler(apps[0].Mux), apps[1].Handler(apps[1].Mux)}
	script := forgetful{t: t}
	for i := range 12 {
		script.visit(handlers[i%2], "/inc")
		require.LessOrEqual(t, len(testkit.Listed(t, apps[0].Bridge, bridge.Filter{})), 3)
	}
}

func TestMaxSessionsPerClientNeedsAStoreThatFindsThem(t *testing.T) {
	_, err := bridge.New(teststore.Minimal{Store: livestore.New()}, &bridge.Options{MaxSessionsPerClient: 16})
	require.ErrorIs(t, err, bridge.ErrUnsupported)
	require.ErrorContains(t, err, "Options.MaxSessionsPerClient")
	require.ErrorContains(t, err, "store.ClientOrder")
	b := testkit.NewBridge(t, teststore.Minimal{Store: livestore.New()}, nil) // the default asks for nothing
	h := b.Handler(testkit.NewMux(b))
	script := forgetful{t: t}
	first := script.visit(h, "/inc")
	for range 20 {
		script.visit(h, "/inc")
	}
	require.True(t, testkit.SessionExists(t, b, first))
}

// TestAStoreThatHangsAtTheLimitOfAClientKeepsNobodyFromEndingTheSession: the limit is looked after
// outside of the session's commit lock, and its failure is no failure of the request.
func TestAStoreThatHangsAtTheLimitOfAClientKeepsNobodyFromEndingTheSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := teststore.NewFaulty()
		b := testkit.NewBridge(t, st, &bridge.Options{StoreTimeout: 2 * time.Second})
		h := b.Handler(testkit.NewMux(b))
		failures := testkit.Record[bridge.Failure](t, b)
		script := forgetful{t: t}
		script.visit(h, "/inc")
		st.Always(teststore.Hang, "SurplusByClient")
		answered := make(chan int)
		second := webclient.Pocket{"sid.cid": script.client}
		go func() { answered <- second.Get(t, h, "/inc").Code }()
		synctest.Wait()
		var fresh string
		for _, info := range testkit.Listed(t, b, bridge.Filter{}) {
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
		failure := failures.Next()
		require.ErrorIs(t, failure.Err, bridge.ErrStoreUnavailable)
		require.Contains(t, failure.Doing, "MaxSessionsPerClient")
	})
}

// TestANewClientCostsNoLookAtItsSessions: it has none.
func TestANewClientCostsNoLookAtItsSessions(t *testing.T) {
	st := teststore.NewFaulty()
	b := testkit.NewBridge(t, st, nil)
	h := b.Handler(testkit.NewMux(b))
	for range 20 {
		webclient.Pocket{}.Get(t, h, "/inc")
	}
	require.Zero(t, st.Count("SurplusByClient"))
}

func TestByClientIDAsksTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, apps := testkit.NewNodes(t, 2, bridge.Options{})
		here, there := apps[0].ServeInMemory(t), apps[1].ServeInMemory(t)
		ada := webclient.NewBrowser(t, here)
		ada.OK("/inc")
		first := ada.OK("/id")
		client, ok := apps[0].ClientIDOf(first)
		require.True(t, ok)
		synctest.Wait()
		h.Node(0).SetNetwork(true, false) // from now on it hears nothing of what others do
		time.Sleep(time.Second)
		ada.At(there).OK("/logout")
		ada.At(there).OK("/inc")
		second := ada.At(there).OK("/id")
		known, _ := apps[0].SessionIDOf(client)
		require.Equal(t, first, known, "the map of this process is behind")

		s, err := apps[0].GetByClientID(t.Context(), client)
		require.NoError(t, err)
		require.Equal(t, second, s.ID())
		require.NoError(t, apps[0].UpdateByClientID(t.Context(), client, func(ctx context.Context, s *bridge.Session) error {
			_, err := testkit.Increment(ctx, s)
			return err
		}))
		require.Equal(t, "2", ada.At(there).OK("/get"))
		require.NoError(t, apps[0].SetByClientID(t.Context(), client, map[string]any{"n": 7}, 0))
		require.Equal(t, "7", ada.At(there).OK("/get"))
		was, err := apps[0].DestroyByClientID(t.Context(), client)
		require.NoError(t, err)
		require.True(t, was)
		require.False(t, testkit.SessionExists(t, apps[1].Bridge, second))
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
				b := testkit.NewBridge(t, narrow(livestore.New()), &bridge.Options{AutoCleanup: bridge.Off})
				mux := testkit.NewMux(b)
				mux.HandleFunc("/short", testkit.SessionPage(b, func(s *bridge.Session) (any, error) {
					s.SetIdleTimeout(time.Minute)
					testkit.Count.Set(s, 1)
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
		h, apps := testkit.NewNodes(t, 2, bridge.Options{})
		held := make(chan struct{})
		h.Node(0).BeforeHold = func() { <-held }
		ada := webclient.NewBrowser(t, apps[0].ServeInMemory(t))
		ada.OK("/inc")
		client, _ := apps[0].ClientIDOf(ada.OK("/id"))
		there := ada.At(apps[1].ServeInMemory(t))
		there.OK("/logout")
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
		h, apps := testkit.NewNodes(t, 2, bridge.Options{StoreTimeout: 2 * time.Second})
		br := webclient.NewBrowser(t, apps[0].ServeInMemory(t))
		br.OK("/plain")
		synctest.Wait()
		h.Node(0).NewestHangs.Store(true)
		require.Equal(t, bridge.CodeUnavailable, <-br.Dial("/ws").WhenClosed())
	})
}
