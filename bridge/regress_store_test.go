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
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/teststore"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
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
				st := teststore.NewFaulty()
				b := testkit.NewBridge(t, st, &bridge.Options{StoreTimeout: 2 * time.Second, AutoCleanup: bridge.Off})
				st.Always(teststore.Hang, method)
				start := time.Now()
				require.ErrorIs(t, call(t.Context(), b), bridge.ErrStoreUnavailable)
				require.Equal(t, 2*time.Second, time.Since(start))
			})
		})
	}
}

func TestAutoCleanupGoesOnAfterAPanicOfTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := teststore.NewFaulty()
		opts := testkit.Expiring(0)
		opts.AutoCleanup = time.Minute
		a := testkit.NewApp(t, st, opts)
		ended := testkit.Record[bridge.SessionDestroy](t, a.Bridge)
		webclient.Pocket{}.Get(t, a.Handler(a.Mux), "/inc")
		st.Always(func(context.Context, func() error) error { panic("in the store") }, "Sweep")
		time.Sleep(2*testkit.Idle + time.Second)
		require.Equal(t, 20, st.Count("Sweep"))
		require.Empty(t, ended.Rest())
		st.Heal()
		time.Sleep(time.Minute)
		require.Len(t, ended.Rest(), 1)
		require.Zero(t, a.Stats().Attached)
	})
}

// creating keeps the IDs of the sessions that it was asked to create.
type creating struct {
	*teststore.Faulty
	ids []string
}

func (c *creating) Set(ctx context.Context, rec store.Record) (uint64, error) {
	if rec.Revision == 0 {
		c.ids = append(c.ids, rec.ID)
	}
	return c.Faulty.Set(ctx, rec)
}

// A create that may have been done is never done again: two records under one ID could each be
// somebody's.
func TestNothingIsCreatedAgainUnderAnIDWhoseFateIsUnknown(t *testing.T) {
	for name, fail := range map[string]teststore.Fault{"not done": teststore.Refuse(teststore.ErrDiskFull), "done, but the reply lost": teststore.LoseReply(teststore.ErrDiskFull)} {
		t.Run(name, func(t *testing.T) {
			st := &creating{Faulty: teststore.NewFaulty()}
			a := testkit.NewApp(t, st, nil)
			st.Next(1, "Set", fail)
			a.Page("/twice", func(r *http.Request) (any, error) {
				err := a.WithSession(r, testkit.Set("k", 1), nil)
				require.ErrorIs(t, err, bridge.ErrStoreUnavailable)
				return "", a.WithSession(r, testkit.Set("k", 2), nil)
			})
			h := a.Handler(a.Mux)
			visitor := webclient.Pocket{}
			require.Equal(t, http.StatusOK, visitor.Get(t, h, "/twice").Code)
			require.Len(t, st.ids, 2)
			require.NotEqual(t, st.ids[0], st.ids[1])
			require.Equal(t, st.ids[1], visitor.Get(t, h, "/id").Body.String(), "the cookie is of the one that is known to exist")
		})
	}
}

func TestSessionOpenedAfterTheRequestsEndIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := teststore.NewFaulty()
		a := testkit.NewApp(t, st, nil)
		result := make(chan error, 2)
		a.Mux.Handle("/slow", http.TimeoutHandler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			for range 2 { // the store answers after the end, and then it is asked after the end
				_, err := a.Session(r)
				result <- err
			}
		}), time.Second, "late"))
		h := a.Handler(a.Mux)
		visitor := webclient.Pocket{}
		visitor.Get(t, h, "/inc")
		answer := make(chan struct{})
		st.Next(1, "Get", func(_ context.Context, get func() error) error { defer func() { <-answer }(); return get() })
		require.Equal(t, http.StatusServiceUnavailable, visitor.Get(t, h, "/slow").Code)
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

// destroyWhileInUse asks for a page and destroys its session before or after a certain call to the
// store. It returns whether that was reached.
func destroyWhileInUse(t *testing.T, path string, known bool, at string, after bool) (reached bool) {
	st := teststore.NewFaulty()
	opts := &bridge.Options{Keys: [][]byte{testkit.Key()}, AutoCleanup: bridge.Off}
	a := testkit.NewApp(t, st, opts)
	visitor := webclient.Pocket{}
	visitor.Get(t, a.Handler(a.Mux), "/inc")
	id := visitor.Get(t, a.Handler(a.Mux), "/id").Body.String()
	if !known {
		a = testkit.NewApp(t, st, opts)
	}
	time.Sleep(2 * testkit.Touch) // so that the use is touched
	destroyed := make(chan error, 1)
	method, nth, _ := strings.Cut(at, " ")
	st.Next(testkit.Atoi(t, nth), method, func(_ context.Context, call func() error) error {
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
	visitor.Get(t, a.Handler(a.Mux), path)
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
	a := testkit.NewApp(t, livestore.New(), nil)
	h := a.Handler(a.Mux)
	for range 300 {
		visitor := webclient.Pocket{}
		visitor.Get(t, h, "/inc")
		id := visitor.Get(t, h, "/id").Body.String()
		var using sync.WaitGroup
		for range 2 {
			using.Go(func() { maps.Clone(visitor).Send(h, httptest.NewRequest(http.MethodGet, "/get", nil)) })
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
	a := testkit.NewApp(t, livestore.New(), nil)
	remember := func(_ context.Context, s *bridge.Session) error { s.SetLifetime(year); return nil }
	a.SessionPage("/remember", func(s *bridge.Session) (any, error) { return "", remember(t.Context(), s) })
	a.Page("/rememberinside", func(r *http.Request) (any, error) { return "", a.WithSession(r, remember, nil) })
	for _, path := range []string{"/remember", "/rememberinside"} {
		h := a.Handler(a.Mux)
		visitor := webclient.Pocket{}
		visitor.Get(t, h, "/inc")
		id := visitor.Get(t, h, "/id").Body.String()
		res := visitor.Get(t, h, path)
		sent := slices.IndexFunc(res.Result().Cookies(), func(c *http.Cookie) bool { return c.Name == "sid" })
		require.GreaterOrEqual(t, sent, 0, "the cookie is sent again")
		require.Equal(t, int(year/time.Second), res.Result().Cookies()[sent].MaxAge)
		require.Equal(t, id, visitor.Get(t, h, "/id").Body.String(), "it opens the same session")
		require.Empty(t, visitor.Get(t, h, path).Result().Cookies(), "nothing has changed")
	}
}
