package importer_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/gorilla/sessions"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/bridgetest"
	"github.com/sessionbridge/sessionbridge/importer"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
)

// signedAnew is the cookie after an older version of the application has saved its session again.
func signedAnew(t *testing.T, st sessions.Store, cookie *http.Cookie) *http.Cookie {
	t.Helper()
	r, w := httptest.NewRequest(http.MethodGet, "https://app.test/", nil), httptest.NewRecorder()
	r.AddCookie(cookie)
	session, err := st.Get(r, oldName)
	require.NoError(t, err)
	require.False(t, session.IsNew)
	session.Values["saved"] = "again"
	require.NoError(t, session.Save(r, w))
	now := w.Result().Cookies()[0]
	require.NotEqual(t, cookie.Value, now.Value)
	return now
}

// leaving has pages that end the session in several ways, and those of after.
func leaving(b *bridge.Bridge) http.Handler {
	mux := http.NewServeMux()
	page := func(path string, do func(w http.ResponseWriter, r *http.Request) error) {
		mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) {
			if err := do(w, r); err != nil {
				b.WriteError(w, r, err)
			}
		})
	}
	page("/with", func(_ http.ResponseWriter, r *http.Request) error {
		return b.WithSession(r, func(_ context.Context, s *bridge.Session) error { s.Logout(); return nil }, nil)
	})
	page("/next", func(_ http.ResponseWriter, r *http.Request) error {
		s, err := b.Session(r)
		if err == nil {
			s.Logout()
			s, err = b.Session(r)
		}
		if err == nil {
			s.Set("page", "bye")
		}
		return err
	})
	page("/hook", func(_ http.ResponseWriter, r *http.Request) error {
		s, err := b.Session(r)
		if err == nil {
			s.Set("banned", true)
		}
		return err
	})
	page("/panic", func(_ http.ResponseWriter, r *http.Request) error {
		s, err := b.Session(r)
		if err == nil {
			s.Logout()
		}
		panic(err)
	})
	mux.Handle("/", after(b))
	return recovered(b.Handler(mux))
}

// recovered answers a panic.
func recovered(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if recover() != nil {
				w.WriteHeader(http.StatusInternalServerError)
			}
		}()
		h.ServeHTTP(w, r)
	})
}

func endBanned(_ context.Context, s *bridge.Session) error {
	if banned, _ := s.Get("banned"); banned == true {
		s.Destroy()
	}
	return nil
}

// An older version of the application, which is still running, saves a session that has been
// imported. A CookieStore then has another cookie for it, which the logout covers.
func TestG2_LogoutCoversACookieThatWasSignedAnew(t *testing.T) {
	for path, status := range map[string]int{
		"/out": 200, "/with": 200, "/next": 200, "/hook": 200, "/panic": 500,
	} {
		t.Run(path[1:], func(t *testing.T) {
			old := sessions.NewCookieStore(oldKey)
			b := bridgetest.NewOver(t, livestore.New(), &bridge.Options{
				Import:       importer.FromGorilla(old, oldName, importer.Options{UserID: byUser}),
				BeforeCommit: endBanned,
			})
			c := bridgetest.NewClient(t, b, leaving(b))
			cookie := before(t, old, map[any]any{"user": "ada"})
			c.SetCookie(cookie)
			require.Equal(t, "ada", look(c).User)
			cookie = signedAnew(t, old, cookie)
			c.SetCookie(cookie)
			c.PostForm(path, nil).Expect(status)
			require.Empty(t, look(c).User)
			require.Empty(t, look(moved(t, b, cookie)).User, "also without the Bridge's cookies")
		})
	}
}

// The other cookie may have been imported before, by a request that came without the Bridge's
// cookies. Its session ends.
func TestG2_LogoutEndsWhatAnotherCookieHasBecome(t *testing.T) {
	old := sessions.NewCookieStore(oldKey)
	b := bridgetest.New(t, &bridge.Options{Import: importer.FromGorilla(old, oldName, importer.Options{UserID: byUser})})
	cookie := before(t, old, map[any]any{"user": "ada"})
	anew := signedAnew(t, old, cookie)
	first, second := moved(t, b, cookie), moved(t, b, anew)
	require.NotEqual(t, look(first).ID, look(second).ID)
	first.SetCookie(anew)
	require.Equal(t, "ada", look(first).User)
	first.PostForm("/out", nil).Expect(http.StatusOK)
	require.Empty(t, look(first).User)
	require.Empty(t, look(second).User)
}

// A browser has cookies of one name for several paths, and another page may send another one first.
func TestG2_LogoutCoversEachCookieOfTheName(t *testing.T) {
	old := sessions.NewCookieStore(oldKey)
	b := bridgetest.New(t, &bridge.Options{Import: importer.FromGorilla(old, oldName, importer.Options{UserID: byUser})})
	cookie := before(t, old, map[any]any{"user": "ada"})
	deeper := *signedAnew(t, old, cookie)
	deeper.Path = "/out"
	c := moved(t, b, &deeper)
	c.SetCookie(cookie)
	require.Equal(t, "ada", look(c).User)
	c.PostForm("/out", nil).Expect(http.StatusOK)
	for _, each := range []*http.Cookie{cookie, &deeper} {
		each.Path = "/"
		require.Empty(t, look(moved(t, b, each)).User)
	}
}

// A client can invent keys: nothing is written for one. If the old store can't tell, the key is
// used up: a logout doesn't depend on that store.
func TestG2_LogoutWritesOnlyForSessionsOfTheOldStore(t *testing.T) {
	for name, c := range map[string]struct {
		load   func() (ok bool, err error)
		closed bool
	}{
		"invented": {func() (bool, error) { return false, nil }, false},
		"known":    {func() (bool, error) { return true, nil }, true},
		"away":     {func() (bool, error) { return false, errors.New("away") }, true},
	} {
		t.Run(name, func(t *testing.T) {
			load := func() (bool, error) { return false, nil }
			st := livestore.New()
			b := bridgetest.NewOver(t, st, &bridge.Options{Import: func(*http.Request) *bridge.Import {
				return &bridge.Import{Key: "key", Load: func(context.Context) (string, map[string]any, bool, error) {
					ok, err := load()
					return "ada", nil, ok, err
				}}
			}})
			browser := bridgetest.NewClient(t, b, after(b))
			browser.PostForm("/in", nil).Expect(http.StatusOK)
			load = c.load
			browser.PostForm("/out", nil).Expect(http.StatusOK)
			load = func() (bool, error) { return true, nil }
			is := look(bridgetest.NewClient(t, b, after(b)))
			require.Equal(t, c.closed, is.User == "", is)
		})
	}
}

// A logout that can't be made lasting fails: the session goes on, and the client learns that.
func TestG2_LogoutThatWouldNotLastFails(t *testing.T) {
	old := sessions.NewCookieStore(oldKey)
	st := &noClaims{Store: livestore.New()}
	b := bridgetest.NewOver(t, st, &bridge.Options{Import: importer.FromGorilla(old, oldName, importer.Options{UserID: byUser})})
	cookie := before(t, old, map[any]any{"user": "ada"})
	c := moved(t, b, cookie)
	is := look(c)
	c.SetCookie(signedAnew(t, old, cookie))
	st.fails.Store(true)
	c.PostForm("/out", nil).Expect(http.StatusServiceUnavailable)
	st.fails.Store(false)
	require.Equal(t, is.ID, look(c).ID)
	c.PostForm("/out", nil).Expect(http.StatusOK)
	require.Empty(t, look(c).User)
}

// noClaims is a store whose namespaces can fail to store.
type noClaims struct {
	*livestore.Store
	fails atomic.Bool
}

func (n *noClaims) App(name string) store.Store { return &claims{n.Store.App(name), n} }

type claims struct {
	store.Store
	of *noClaims
}

func (c *claims) Set(ctx context.Context, rec store.Record) (uint64, error) {
	if c.of.fails.Load() {
		return 0, errors.New("away")
	}
	return c.Store.Set(ctx, rec)
}
