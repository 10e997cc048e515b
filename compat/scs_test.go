package compat_test

import (
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/alexedwards/scs/v2/memstore"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/bridgetest"
	"github.com/sessionbridge/sessionbridge/importer"
)

// newSCS returns what scs.New does, without the goroutine of its store.
func newSCS() *scs.SessionManager {
	return &scs.SessionManager{
		IdleTimeout: time.Hour,
		Lifetime:    24 * time.Hour,
		Store:       memstore.NewWithCleanupInterval(0),
		Codec:       scs.GobCodec{},
		ErrorFunc: func(w http.ResponseWriter, _ *http.Request, err error) {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		},
		Cookie: scs.SessionCookie{Name: "session", Path: "/", HttpOnly: true, Persist: true},
	}
}

// A browser that is logged in with scs goes on after the move with its cookie jar, whether or not
// the old application's middleware is still around the Bridge.
func TestSCSSessionsMove(t *testing.T) {
	for name, c := range map[string]struct{ destroy, hash, around bool }{
		"left alone": {}, "destroyed": {destroy: true}, "hashed tokens": {hash: true, destroy: true}, "inside of LoadAndSave": {around: true},
	} {
		t.Run(name, func(t *testing.T) {
			manager := newSCS()
			manager.HashTokenInStore = c.hash
			before := manager.LoadAndSave(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch r.URL.Path {
				case "/in":
					manager.Put(r.Context(), "user", "ada")
					manager.Put(r.Context(), "n", 7)
				default:
					fmt.Fprint(w, manager.GetString(r.Context(), "user"))
				}
			}))
			b := bridgetest.New(t, &bridge.Options{
				Import: importer.FromSCS(manager, manager.Cookie.Name, importer.Options{
					Destroy: c.destroy,
					UserID:  func(values map[string]any) string { user, _ := values["user"].(string); return user },
				}),
			})
			after := b.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				s, err := b.Session(r)
				if err != nil {
					b.WriteError(w, r, err)
					return
				}
				if r.URL.Path == "/out" {
					s.Logout()
					return
				}
				n, _ := s.Get("n")
				fmt.Fprint(w, s.UserID(), n)
			}))
			if c.around {
				after = manager.LoadAndSave(after)
			}
			was, is := bridgetest.NewClient(t, b, before), bridgetest.NewClient(t, b, after)
			is.HTTP.Jar = was.HTTP.Jar
			was.Get("/in").Expect(http.StatusOK)
			require.Equal(t, "ada", was.Get("/").Body)

			require.Equal(t, "ada7", is.Get("/").Body)
			require.Equal(t, "ada7", is.Get("/").Body)
			old := was.Get("/").Body
			require.Equal(t, c.destroy, old == "", "the old application has %q", old)
			is.Get("/out").Expect(http.StatusOK)
			require.Equal(t, "<nil>", is.Get("/").Body, "the old cookie brings nothing back")
		})
	}
}

// A session ends at the deadline that it had with scs.
func TestG7_SCSDeadlineIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		manager := newSCS()
		before := manager.LoadAndSave(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			manager.Put(r.Context(), "user", "ada")
		}))
		b := bridgetest.New(t, &bridge.Options{
			Import: importer.FromSCS(manager, manager.Cookie.Name, importer.Options{
				UserID: func(values map[string]any) string { user, _ := values["user"].(string); return user },
			}),
		})
		after := b.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			s, err := b.Session(r)
			require.NoError(t, err)
			fmt.Fprint(w, s.UserID())
		}))
		was, is := bridgetest.NewClient(t, b, before), bridgetest.NewClient(t, b, after)
		is.HTTP.Jar = was.HTTP.Jar
		deadline := time.Now().Add(manager.Lifetime)
		was.Get("/").Expect(http.StatusOK)
		time.Sleep(30 * time.Minute)
		require.Equal(t, "ada", is.Get("/").Body)
		time.Sleep(time.Until(deadline) - time.Millisecond)
		require.Equal(t, "ada", is.Get("/").Body)
		time.Sleep(time.Millisecond)
		require.Empty(t, is.Get("/").Body)
	})
}

// The cookie of a session that scs doesn't have begins a new one.
func TestSCSSessionThatIsGone(t *testing.T) {
	manager := newSCS()
	b := bridgetest.New(t, &bridge.Options{Import: importer.FromSCS(manager, manager.Cookie.Name, importer.Options{})})
	c := bridgetest.NewClient(t, b, b.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s, err := b.Session(r)
		require.NoError(t, err)
		fmt.Fprint(w, s.IsNew())
	})))
	c.SetCookie(&http.Cookie{Name: manager.Cookie.Name, Value: "unknown"})
	require.Equal(t, "true", c.Get("/").Body)
}
