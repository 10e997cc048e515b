package bridge_test

import (
	"context"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
)

func TestStoreTimeoutBoundsWhatHasNoOtherLimit(t *testing.T) {
	for method, call := range map[string]func(context.Context, *bridge.Bridge) error{
		"Sweep": func(ctx context.Context, b *bridge.Bridge) error { _, err := b.Cleanup(ctx); return err },
		"NewestByClient": func(ctx context.Context, b *bridge.Bridge) error {
			_, err := b.GetByClientID(ctx, "11111111-1111-4111-8111-111111111111")
			return err
		},
		"Ping": func(ctx context.Context, b *bridge.Bridge) error { return b.Ping(ctx) },
	} {
		t.Run(method, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				st := newFaultyStore()
				b := newBridge(t, st, &bridge.Options{StoreTimeout: 2 * time.Second, AutoCleanup: bridge.Off})
				st.always(hang, method)
				start := time.Now()
				require.ErrorIs(t, call(t.Context(), b), bridge.ErrStoreUnavailable)
				require.Equal(t, 2*time.Second, time.Since(start))
			})
		})
	}
}

func TestAutoCleanupGoesOnAfterAPanicOfTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newFaultyStore()
		opts := expiring(0)
		opts.AutoCleanup = time.Minute
		a := makeApp(t, st, opts)
		ended := record[bridge.SessionDestroy](t, a.Bridge)
		pocket{}.get(t, a.Handler(a.mux), "/inc")
		st.always(func(context.Context, func() error) error { panic("in the store") }, "Sweep")
		time.Sleep(2*idle + time.Second)
		require.Equal(t, 20, st.count("Sweep"))
		require.Empty(t, ended.rest())
		st.heal()
		time.Sleep(time.Minute)
		require.Len(t, ended.rest(), 1)
		require.Zero(t, a.Stats().Attached)
	})
}

// creating keeps the IDs of the sessions that it was asked to create.
type creating struct {
	*faultyStore
	ids []string
}

func (c *creating) Set(ctx context.Context, rec store.Record) (uint64, error) {
	if rec.Revision == 0 {
		c.ids = append(c.ids, rec.ID)
	}
	return c.faultyStore.Set(ctx, rec)
}

// A create that may have been done is never done again: two records under one ID could each be somebody's.
func TestNothingIsCreatedAgainUnderAnIDWhoseFateIsUnknown(t *testing.T) {
	for name, fail := range map[string]fault{"not done": refuse(errStore), "done, but the reply lost": loseReply(errStore)} {
		t.Run(name, func(t *testing.T) {
			st := &creating{faultyStore: newFaultyStore()}
			a := makeApp(t, st, nil)
			st.next(1, "Set", fail)
			a.page("/twice", func(r *http.Request) (any, error) {
				err := a.WithSession(r, set("k", 1), nil)
				require.ErrorIs(t, err, bridge.ErrStoreUnavailable)
				return "", a.WithSession(r, set("k", 2), nil)
			})
			h := a.Handler(a.mux)
			visitor := pocket{}
			require.Equal(t, http.StatusOK, visitor.get(t, h, "/twice").Code)
			require.Len(t, st.ids, 2)
			require.NotEqual(t, st.ids[0], st.ids[1])
			require.Equal(t, st.ids[1], visitor.get(t, h, "/id").Body.String(), "the cookie is of the one that is known to exist")
		})
	}
}

func TestSessionOpenedAfterTheRequestsEndIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newFaultyStore()
		a := makeApp(t, st, nil)
		result := make(chan error, 2)
		a.mux.Handle("/slow", http.TimeoutHandler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			for range 2 { // the store answers after the end, and then it is asked after the end
				_, err := a.Session(r)
				result <- err
			}
		}), time.Second, "late"))
		h := a.Handler(a.mux)
		visitor := pocket{}
		visitor.get(t, h, "/inc")
		answer := make(chan struct{})
		st.next(1, "Get", func(_ context.Context, get func() error) error { defer func() { <-answer }(); return get() })
		require.Equal(t, http.StatusServiceUnavailable, visitor.get(t, h, "/slow").Code)
		close(answer)
		require.ErrorIs(t, <-result, bridge.ErrSessionClosed)
		require.ErrorIs(t, <-result, bridge.ErrSessionClosed)
	})
}

// Whenever during a use of the session it is destroyed, the map of clients keeps nothing of it.
func TestClientMapForgetsASessionThatIsDestroyedWhileInUse(t *testing.T) {
	for _, at := range []string{"Get 1", "Get 2", "Get 3", "Set 1", "Touch 1"} {
		reached := 0
		for _, path := range []string{"/get", "/inc", "/rotate", "/login?user=ada"} {
			for _, known := range []bool{true, false} { // to the process, which may have been restarted
				for _, after := range []bool{true, false} {
					synctest.Test(t, func(t *testing.T) {
						if destroyWhileInUse(t, path, known, at, after) {
							reached++
						}
					})
				}
			}
		}
		require.GreaterOrEqual(t, reached, 2, at)
	}
}

// destroyWhileInUse asks for a page and destroys its session before or after a certain call to the store. It returns whether that was reached.
func destroyWhileInUse(t *testing.T, path string, known bool, at string, after bool) (reached bool) {
	st := newFaultyStore()
	opts := &bridge.Options{Keys: [][]byte{goodKey()}, AutoCleanup: bridge.Off}
	a := makeApp(t, st, opts)
	visitor := pocket{}
	visitor.get(t, a.Handler(a.mux), "/inc")
	id := visitor.get(t, a.Handler(a.mux), "/id").Body.String()
	if !known {
		a = makeApp(t, st, opts)
	}
	time.Sleep(2 * touch) // so that the use is touched
	destroyed := make(chan error, 1)
	method, nth, _ := strings.Cut(at, " ")
	st.next(atoi(t, nth), method, func(_ context.Context, call func() error) error {
		destroy := func() {
			go func() { _, err := a.DestroyByID(t.Context(), id); destroyed <- err }()
			synctest.Wait() // done, or waiting for the one that is here
		}
		if !after {
			destroy()
			return call()
		}
		defer destroy()
		return call()
	})
	visitor.get(t, a.Handler(a.mux), path)
	synctest.Wait()
	if len(destroyed) == 0 { // this use makes no such call
		return false
	}
	require.NoError(t, <-destroyed)
	_, mapped := a.ClientIDOf(id)
	require.False(t, mapped, "%s, known: %v, destroyed at %s, after: %v", path, known, at, after)
	return true
}

func TestClientMapForgetsSessionsThatAreDestroyedInParallelWithTheirUse(t *testing.T) {
	a := makeApp(t, livestore.New(), nil)
	h := a.Handler(a.mux)
	for range 300 {
		visitor := pocket{}
		visitor.get(t, h, "/inc")
		id := visitor.get(t, h, "/id").Body.String()
		var using sync.WaitGroup
		for range 2 {
			using.Go(func() { maps.Clone(visitor).send(h, httptest.NewRequest(http.MethodGet, "/get", nil)) })
		}
		_, err := a.DestroyByID(t.Context(), id)
		require.NoError(t, err)
		using.Wait()
	}
	require.Zero(t, a.Stats().Attached)
}

// A browser keeps the cookie for as long as the session lives, also where that is decided later.
func TestCookieFollowsSetLifetime(t *testing.T) {
	const year = 365 * 24 * time.Hour
	a := makeApp(t, livestore.New(), nil)
	remember := func(_ context.Context, s *bridge.Session) error { s.SetLifetime(year); return nil }
	a.session("/remember", func(s *bridge.Session) (any, error) { return "", remember(t.Context(), s) })
	a.page("/rememberinside", func(r *http.Request) (any, error) { return "", a.WithSession(r, remember, nil) })
	for _, path := range []string{"/remember", "/rememberinside"} {
		h := a.Handler(a.mux)
		visitor := pocket{}
		visitor.get(t, h, "/inc")
		id := visitor.get(t, h, "/id").Body.String()
		res := visitor.get(t, h, path)
		sent := slices.IndexFunc(res.Result().Cookies(), func(c *http.Cookie) bool { return c.Name == "sid" })
		require.GreaterOrEqual(t, sent, 0, "the cookie is sent again")
		require.Equal(t, int(year/time.Second), res.Result().Cookies()[sent].MaxAge)
		require.Equal(t, id, visitor.get(t, h, "/id").Body.String(), "it opens the same session")
		require.Empty(t, visitor.get(t, h, path).Result().Cookies(), "nothing has changed")
	}
}
