package importer_test

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/gob"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/sessions"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/bridgetest"
	"github.com/sessionbridge/sessionbridge/filestore"
	"github.com/sessionbridge/sessionbridge/importer"
	"github.com/sessionbridge/sessionbridge/internal/redistest"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/redisstore"
	"github.com/sessionbridge/sessionbridge/store"
)

const oldName = "old-session"

var oldKey = []byte("the key of the old application!!")

func byUser(values map[string]any) string {
	user, _ := values["user"].(string)
	delete(values, "user")
	return user
}

// before is the application as it was: it stores what a test gives it.
func before(t *testing.T, st sessions.Store, values map[any]any) *http.Cookie {
	t.Helper()
	r, w := httptest.NewRequest(http.MethodGet, "https://app.test/", nil), httptest.NewRecorder()
	session, err := st.Get(r, oldName)
	require.NoError(t, err)
	session.Values = values
	require.NoError(t, session.Save(r, w))
	return w.Result().Cookies()[0]
}

// after is the application as it is: /cart shows the session, /out logs out.
func after(b *bridge.Bridge) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/cart", func(w http.ResponseWriter, r *http.Request) {
		s, err := b.Session(r)
		if err != nil {
			b.WriteError(w, r, err)
			return
		}
		var values map[string]any
		if err := s.Decode(&values); err != nil {
			b.WriteError(w, r, err)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"user": s.UserID(), "id": s.ID(), "new": s.IsNew(), "values": values})
	})
	mux.HandleFunc("POST /out", func(w http.ResponseWriter, r *http.Request) {
		s, err := b.Session(r)
		if err != nil {
			b.WriteError(w, r, err)
			return
		}
		s.Logout()
	})
	mux.HandleFunc("POST /in", func(w http.ResponseWriter, r *http.Request) {
		s, err := b.Session(r)
		if err == nil {
			err = s.Login("ada")
		}
		if err != nil {
			b.WriteError(w, r, err)
		}
	})
	mux.Handle("/ws", b.Messages(func(_ context.Context, _ *bridge.Conn, msg bridge.Message, s *bridge.Session) error {
		return msg.ReplyJSON(s.UserID())
	}, nil))
	return b.Handler(mux)
}

type seen struct {
	User, ID string
	New      bool
	Values   map[string]any
}

func look(c *bridgetest.Client) (is seen) {
	c.Get("/cart").Expect(http.StatusOK).JSON(&is)
	return is
}

func gorillaStores(t *testing.T) map[string]sessions.Store {
	t.Helper()
	return map[string]sessions.Store{
		"CookieStore":     sessions.NewCookieStore(oldKey),
		"FilesystemStore": sessions.NewFilesystemStore(t.TempDir(), oldKey),
	}
}

// moved returns a browser that comes to the new application with its old cookie.
func moved(t *testing.T, b *bridge.Bridge, cookie *http.Cookie) *bridgetest.Client {
	t.Helper()
	c := bridgetest.NewClient(t, b, after(b))
	c.SetCookie(cookie)
	return c
}

func TestGorillaSessionsMoveOnEveryStore(t *testing.T) {
	file, err := filestore.Open(filepath.Join(t.TempDir(), "sessions.db"), nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, file.Close()) })
	stores := map[string]func(t *testing.T) store.Store{
		"livestore": func(*testing.T) store.Store { return livestore.New() },
		"filestore": func(*testing.T) store.Store { return file },
		"redisstore": func(t *testing.T) store.Store {
			st, err := redisstore.Open(t.Context(), redistest.Start(t).URL(), nil)
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, st.Close()) })
			return st
		},
	}
	for name, open := range stores {
		t.Run(name, func(t *testing.T) {
			st := open(t)
			for name, old := range gorillaStores(t) {
				t.Run(name, func(t *testing.T) {
					b := bridgetest.NewOver(t, st, &bridge.Options{
						Import: importer.FromGorilla(old, oldName, importer.Options{UserID: byUser}),
					})
					c := moved(t, b, before(t, old, map[any]any{"user": "ada", "item": "tea", "n": 7, "_flash": []any{"hi"}}))
					first := look(c)
					require.Equal(t, "ada", first.User)
					require.False(t, first.New)
					require.Equal(t, map[string]any{"item": "tea", "n": 7.0}, first.Values)
					require.Equal(t, first, look(c))
					conn := c.Dial("/ws", nil)
					conn.Write("")
					require.Equal(t, `"ada"`, conn.Read())

					c.PostForm("/out", nil).Expect(http.StatusOK)
					conn.ExpectClose(bridge.CodeDestroyed)
					now := look(c)
					require.True(t, now.New, "the old cookie, which is still there, brings nothing back")
					require.Empty(t, now.User)
				})
			}
		})
	}
}

// A handshake may be the first request. Its cookies may be lost.
func TestHandshakeComesFirst(t *testing.T) {
	old := sessions.NewCookieStore(oldKey)
	b := bridgetest.New(t, &bridge.Options{Import: importer.FromGorilla(old, oldName, importer.Options{UserID: byUser})})
	cookie := before(t, old, map[any]any{"user": "ada"})
	c, again := moved(t, b, cookie), moved(t, b, cookie)
	conn := c.Dial("/ws", nil)
	conn.Write("")
	require.Equal(t, `"ada"`, conn.Read())
	is := look(again)
	require.Equal(t, "ada", is.User)
	require.Equal(t, is.ID, look(c).ID)
	require.Equal(t, is.ID, again.SessionID(), "it has got the cookie as well")
}

// All first requests of a browser get one session, and all their changes are in it.
func TestFirstRequestsAtOnceGetOneSession(t *testing.T) {
	st := livestore.New()
	old := sessions.NewCookieStore(oldKey)
	cookie := before(t, old, map[any]any{"user": "ada"})
	const each = 8
	var done sync.WaitGroup
	ids := sync.Map{}
	for range 2 { // nodes
		b := bridgetest.NewOver(t, st, &bridge.Options{
			MaxSessionsPerUser: 1,
			StrictBinding:      true,
			Import:             importer.FromGorilla(old, oldName, importer.Options{UserID: byUser}),
		})
		h := b.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			s, err := b.Session(r)
			if err != nil {
				b.WriteError(w, r, err)
				return
			}
			s.Set(r.URL.Path, true)
			ids.Store(s.ID(), true)
		}))
		for n := range each {
			done.Go(func() {
				r := httptest.NewRequest(http.MethodGet, fmt.Sprintf("https://app.test/%p/%d", b, n), nil)
				r.AddCookie(cookie)
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				if w.Code != http.StatusOK || len(w.Result().Cookies()) != 2 {
					t.Errorf("%d %s %v", w.Code, w.Body, w.Header())
				}
			})
		}
	}
	done.Wait()
	n := 0
	for id := range ids.Range {
		n++
		s, err := bridgetest.NewOver(t, st, nil).GetByID(t.Context(), id.(string))
		require.NoError(t, err)
		var values map[string]any
		require.NoError(t, s.Decode(&values))
		require.Len(t, values, 2*each)
	}
	require.Equal(t, 1, n)
}

// A login replaces the token: from then on the old cookie opens nothing.
func TestG6_OldCookieOpensNothingAfterALogin(t *testing.T) {
	old := sessions.NewCookieStore(oldKey)
	b := bridgetest.New(t, &bridge.Options{
		RotateGrace: bridge.Off,
		Import:      importer.FromGorilla(old, oldName, importer.Options{}),
	})
	cookie := before(t, old, map[any]any{"item": "tea"})
	c, thief := moved(t, b, cookie), moved(t, b, cookie)
	require.Equal(t, "tea", look(c).Values["item"])
	c.PostForm("/in", nil).Expect(http.StatusOK)
	require.Empty(t, look(thief).Values)
	require.Equal(t, "ada", look(c).User)
}

// An import is no login. RequireAuthAge counts from the login in the old application, if that is
// known.
func TestS12_ImportIsNoLogin(t *testing.T) {
	now := time.Now()
	for name, c := range map[string]struct {
		at time.Time
		is int
	}{
		"not known":     {time.Time{}, http.StatusUnauthorized},
		"long ago":      {now.Add(-24 * time.Hour), http.StatusUnauthorized},
		"recently":      {now.Add(-time.Minute), http.StatusOK},
		"in the future": {now.Add(time.Hour), http.StatusUnauthorized},
		"no date":       {time.Unix(-1, 0), http.StatusUnauthorized},
	} {
		t.Run(name, func(t *testing.T) {
			old := sessions.NewCookieStore(oldKey)
			b := bridgetest.New(t, &bridge.Options{Import: importer.FromGorilla(old, oldName, importer.Options{
				UserID: byUser,
				LoggedIn: func(values map[string]any) time.Time {
					require.Equal(t, "ada", values["user"])
					return c.at
				},
			})})
			sets := bridgetest.Events[bridge.SessionSet](t, b)
			mux := http.NewServeMux()
			mux.Handle("/", after(b))
			mux.Handle("/pay", b.RequireAuthAge(time.Hour, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))
			client := bridgetest.NewClient(t, b, mux)
			client.SetCookie(before(t, old, map[any]any{"user": "ada"}))
			client.Get("/pay").Expect(c.is)
			set := sets.Next()
			require.Equal(t, "ada", set.UserID)
			require.True(t, set.IsNew)
			require.False(t, set.Login)
			client.PostForm("/in", nil).Expect(http.StatusOK)
			client.Get("/pay").Expect(http.StatusOK)
			require.True(t, sets.Next().Login)
		})
	}
}

// An imported session ends when the old one would have, unless a login gives it a lifetime.
func TestG7_ImportProlongsNothing(t *testing.T) {
	logIn := func(s *bridge.Session) { _ = s.Login("bob") }
	for name, c := range map[string]struct {
		opts bridge.Options
		do   []func(s *bridge.Session) // a request each
		left time.Duration
	}{
		"nothing":             {left: 10 * time.Minute},
		"no lifetime":         {opts: bridge.Options{Lifetime: bridge.Off}, left: 10 * time.Minute},
		"a shorter lifetime":  {opts: bridge.Options{Lifetime: 5 * time.Minute}, left: 5 * time.Minute},
		"values":              {do: []func(*bridge.Session){func(s *bridge.Session) { s.Set("k", "v") }}, left: 10 * time.Minute},
		"login":               {do: []func(*bridge.Session){logIn}, left: 24 * time.Hour},
		"login, no lifetime":  {opts: bridge.Options{Lifetime: bridge.Off}, do: []func(*bridge.Session){logIn}, left: 0},
		"login after a Clear": {do: []func(*bridge.Session){(*bridge.Session).Clear, logIn}, left: 24 * time.Hour},
		"login, kept":         {opts: bridge.Options{KeepLifetimeAtLogin: true}, do: []func(*bridge.Session){logIn}, left: 10 * time.Minute},
		"the application's lifetime": {
			do:   []func(*bridge.Session){func(s *bridge.Session) { s.SetLifetime(2 * time.Hour) }, logIn},
			left: 2 * time.Hour,
		},
		"the application's after a login": {
			do:   []func(*bridge.Session){logIn, func(s *bridge.Session) { s.SetLifetime(2 * time.Hour) }, logIn},
			left: 2 * time.Hour,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				old := sessions.NewCookieStore(oldKey)
				old.MaxAge(3600)
				c.opts.IdleTimeout, c.opts.Lifetime = bridge.Off, cmp.Or(c.opts.Lifetime, 24*time.Hour)
				c.opts.Import = importer.FromGorilla(old, oldName, importer.Options{UserID: byUser})
				b := bridgetest.New(t, &c.opts)
				cookie := before(t, old, map[any]any{"user": "ada"})
				time.Sleep(50 * time.Minute)
				do := func(*bridge.Session) {}
				mux := http.NewServeMux()
				mux.Handle("/", after(b))
				mux.Handle("/do", b.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
					s, err := b.Session(r)
					if err != nil {
						t.Error(err)
						return
					}
					do(s)
				})))
				client := bridgetest.NewClient(t, b, mux)
				client.SetCookie(cookie)
				is := look(client)
				require.Equal(t, "ada", is.User)
				for _, do = range c.do {
					client.Get("/do").Expect(http.StatusOK)
				}
				s, err := b.GetByID(t.Context(), is.ID)
				require.NoError(t, err)
				if c.left == 0 {
					require.Zero(t, s.Expires())
					return
				}
				require.Equal(t, c.left, time.Until(s.Expires()))
				time.Sleep(c.left)
				require.Empty(t, look(moved(t, b, cookie)).User)
			})
		})
	}
}

// An old session that has ended already is none.
func TestEndedSessionIsNotImported(t *testing.T) {
	b := bridgetest.New(t, &bridge.Options{Import: func(*http.Request) *bridge.Import {
		return &bridge.Import{Key: "key", Expires: time.Now(), Load: func(context.Context) (string, map[string]any, bool, error) {
			return "ada", nil, true, nil
		}}
	}})
	require.Empty(t, look(bridgetest.NewClient(t, b, after(b))).User)
}

// Ends of every kind last.
func TestG2_ImportBringsNothingBack(t *testing.T) {
	for name, end := range map[string]func(t *testing.T, b *bridge.Bridge, id string){
		"its ID": func(t *testing.T, b *bridge.Bridge, id string) {
			_, err := b.DestroyByID(t.Context(), id)
			require.NoError(t, err)
		},
		"its user": func(t *testing.T, b *bridge.Bridge, _ string) {
			_, err := b.DestroyUser(t.Context(), "ada")
			require.NoError(t, err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			st, old := livestore.New(), sessions.NewCookieStore(oldKey)
			opts := &bridge.Options{Import: importer.FromGorilla(old, oldName, importer.Options{UserID: byUser})}
			b := bridgetest.NewOver(t, st, opts)
			cookie := before(t, old, map[any]any{"user": "ada"})
			is := look(moved(t, b, cookie))
			require.Equal(t, "ada", is.User)
			end(t, b, is.ID)
			restarted := bridgetest.NewOver(t, st, opts)
			for range 2 {
				is = look(moved(t, restarted, cookie))
				require.Empty(t, is.User)
				require.True(t, is.New)
			}
		})
	}
}

// The list of what was imported moves with the sessions: see docs/operations.md.
func TestG2_ImportBringsNothingBackAfterAMove(t *testing.T) {
	from, to, old := livestore.New(), livestore.New(), sessions.NewCookieStore(oldKey)
	opts := &bridge.Options{Import: importer.FromGorilla(old, oldName, importer.Options{UserID: byUser})}
	b := bridgetest.NewOver(t, from, opts)
	cookie := before(t, old, map[any]any{"user": "ada"})
	_, err := b.DestroyByID(t.Context(), look(moved(t, b, cookie)).ID)
	require.NoError(t, err)
	for _, app := range []string{"", "sessionbridge.imports"} {
		_, err := store.Copy(t.Context(), from.App(app).(store.Lister), to.App(app), store.CopyOptions{})
		require.NoError(t, err)
	}
	require.Empty(t, look(moved(t, bridgetest.NewOver(t, to, opts), cookie)).User)
}

func TestOldSessionIsDestroyedIfAsked(t *testing.T) {
	for _, destroy := range []bool{false, true} {
		dir := t.TempDir()
		old := sessions.NewFilesystemStore(dir, oldKey)
		b := bridgetest.New(t, &bridge.Options{
			Import: importer.FromGorilla(old, oldName, importer.Options{UserID: byUser, Destroy: destroy}),
		})
		cookie := before(t, old, map[any]any{"user": "ada"})
		c, lost := moved(t, b, cookie), moved(t, b, cookie)
		require.Equal(t, "ada", look(c).User)
		files, err := filepath.Glob(filepath.Join(dir, "*"))
		require.NoError(t, err)
		require.Equal(t, destroy, len(files) == 0)
		require.Equal(t, "ada", look(lost).User, "the response to the first request may have been lost")
	}
}

func TestWhatIsNoOldSession(t *testing.T) {
	old := sessions.NewFilesystemStore(t.TempDir(), oldKey)
	b := bridgetest.New(t, &bridge.Options{Import: importer.FromGorilla(old, oldName, importer.Options{UserID: byUser})})
	gone := before(t, sessions.NewFilesystemStore(t.TempDir(), oldKey), map[any]any{"user": "ada"})
	forged := before(t, sessions.NewFilesystemStore(t.TempDir(), []byte("another key of thirty-two bytes!")), map[any]any{"user": "ada"})
	for name, cookie := range map[string]*http.Cookie{
		"none": {Name: "other", Value: "v"}, "empty": {Name: oldName}, "garbage": {Name: oldName, Value: "garbage"},
		"gone": gone, "forged": forged,
	} {
		t.Run(name, func(t *testing.T) {
			is := look(moved(t, b, cookie))
			require.True(t, is.New)
			require.Empty(t, is.User)
		})
	}
}

// A request that another site has caused may lack the Bridge's cookie, and not the old one.
func TestRequestsOfOtherSitesImportNothing(t *testing.T) {
	old := sessions.NewCookieStore(oldKey)
	b := bridgetest.New(t, &bridge.Options{Import: importer.FromGorilla(old, oldName, importer.Options{UserID: byUser})})
	c := moved(t, b, before(t, old, map[any]any{"user": "ada"}))
	c.Header.Set("Sec-Fetch-Site", "cross-site")
	require.Empty(t, look(c).User)
	c.Header.Del("Sec-Fetch-Site")
	require.Equal(t, "ada", look(c).User)
}

func TestValueThatIsNoJSONIsNamed(t *testing.T) {
	for wants, values := range map[string]map[any]any{
		`"f"`:                         {"user": "ada", "f": complex(1, 2)},
		`"7": the key is of type int`: {"user": "ada", 7: "seven"},
	} {
		failures := make(chan bridge.Failure, 16)
		old := sessions.NewFilesystemStore(t.TempDir(), oldKey)
		convert := false
		b := bridgetest.New(t, &bridge.Options{
			Import: importer.FromGorilla(old, oldName, importer.Options{UserID: func(values map[string]any) string {
				if convert {
					delete(values, "f")
				}
				return byUser(values)
			}}),
		})
		b.OnFailure(func(f bridge.Failure) { failures <- f })
		c := moved(t, b, before(t, old, values))
		c.Get("/cart").Expect(http.StatusInternalServerError)
		err := (<-failures).Err
		require.ErrorContains(t, err, wants)
		require.ErrorAs(t, err, new(*bridge.ValueError))
		require.NotErrorIs(t, err, bridge.ErrStoreUnavailable)
		convert = true
		if wants == `"f"` {
			require.Equal(t, "ada", look(c).User, "nothing was lost by the failure")
		}
	}
}

// The client can't do anything about a user ID that the application gets wrong.
func TestInvalidUserIsAnErrorOfTheApplication(t *testing.T) {
	b := bridgetest.New(t, &bridge.Options{Import: func(*http.Request) *bridge.Import {
		return &bridge.Import{Key: "key", Load: func(context.Context) (string, map[string]any, bool, error) {
			return strings.Repeat("a", 256), nil, true, nil
		}}
	}})
	failures := bridgetest.Events[bridge.Failure](t, b)
	bridgetest.NewClient(t, b, after(b)).Get("/cart").Expect(http.StatusInternalServerError)
	require.ErrorContains(t, failures.Next().Err, "user ID")
}

// A user who has as many sessions as are allowed is a guest, until one of them ends. A Failure says
// so.
func TestImportBeyondTheUsersLimit(t *testing.T) {
	old := sessions.NewCookieStore(oldKey)
	b := bridgetest.New(t, &bridge.Options{
		MaxSessionsPerUser: 1,
		OnTooManySessions:  bridge.RefuseLogin,
		Import:             importer.FromGorilla(old, oldName, importer.Options{UserID: byUser}),
	})
	failures := bridgetest.Events[bridge.Failure](t, b)
	first := moved(t, b, before(t, old, map[any]any{"user": "ada", "n": 1}))
	second := moved(t, b, before(t, old, map[any]any{"user": "ada", "n": 2}))
	require.Equal(t, "ada", look(first).User)
	is := look(second)
	require.Empty(t, is.User)
	require.Empty(t, is.Values)
	require.ErrorIs(t, failures.Next().Err, bridge.ErrTooManySessions)
	first.PostForm("/out", nil).Expect(http.StatusOK)
	is = look(second)
	require.Equal(t, "ada", is.User)
	require.EqualValues(t, 2, is.Values["n"])
}

// What can't be stored is reported.
func TestImportThatCannotBeStored(t *testing.T) {
	for name, c := range map[string]struct {
		opts bridge.Options
		is   error
	}{
		"too large": {bridge.Options{MaxValueBytes: 1000}, bridge.ErrSessionTooLarge},
		"refused": {
			bridge.Options{BeforeCommit: func(context.Context, *bridge.Session) error { return errors.New("no") }},
			bridge.ErrRefused,
		},
	} {
		t.Run(name, func(t *testing.T) {
			c.opts.Import = func(*http.Request) *bridge.Import {
				return &bridge.Import{Key: "key", Load: func(context.Context) (string, map[string]any, bool, error) {
					return "ada", map[string]any{"k": strings.Repeat("v", 1000)}, true, nil
				}}
			}
			b := bridgetest.New(t, &c.opts)
			failures := bridgetest.Events[bridge.Failure](t, b)
			bridgetest.NewClient(t, b, after(b)).Get("/cart").Expect(bridge.HTTPStatus(c.is))
			require.ErrorIs(t, failures.Next().Err, c.is)
		})
	}
}

// Peek and MissingReason see what Session sees, and import nothing.
func TestPeekSeesTheImportedSession(t *testing.T) {
	for name, strict := range map[string]bool{"": false, "strict": true} {
		t.Run(name, func(t *testing.T) {
			old := sessions.NewCookieStore(oldKey)
			b := bridgetest.New(t, &bridge.Options{
				StrictBinding: strict,
				Import:        importer.FromGorilla(old, oldName, importer.Options{UserID: byUser}),
			})
			mux := http.NewServeMux()
			mux.Handle("/", after(b))
			mux.Handle("/peek", b.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.FormValue("after") != "" {
					_, _ = b.Session(r)
				}
				user, s, err := "", (*bridge.Session)(nil), error(nil)
				if s, err = b.Peek(r); err == nil {
					user = s.UserID()
				}
				fmt.Fprintf(w, "%s|%s|%s", user, bridge.MissingReasonOf(err), b.MissingReason(r))
			})))
			cookie := before(t, old, map[any]any{"user": "ada"})
			peek := func(path string) string { // a browser that has the old cookie only
				c := bridgetest.NewClient(t, b, mux)
				c.SetCookie(cookie)
				body := c.Get(path).Body
				if path == "/peek" {
					require.Len(t, c.Cookies(), 1, "Peek sets none")
				}
				return body
			}
			require.Equal(t, "|no credential|no credential", peek("/peek"))
			require.Equal(t, "ada||", peek("/peek?after=it"), "the request that imports")
			require.Equal(t, "ada||", peek("/peek"))
			require.Equal(t, "ada||", peek("/peek?after=it"))
			_, err := b.DestroyUser(t.Context(), "ada")
			require.NoError(t, err)
			require.Equal(t, "|ended|ended", peek("/peek"))
			require.Equal(t, "|ended|ended", peek("/peek?after=it"))
		})
	}
}

// Made-up cookies cost the store no write.
func TestMadeUpCookieWritesNothing(t *testing.T) {
	st := counting{livestore.New(), new(atomic.Int32)}
	b := bridgetest.NewOver(t, st, &bridge.Options{Import: func(*http.Request) *bridge.Import {
		return &bridge.Import{Key: "made up", Load: func(context.Context) (string, map[string]any, bool, error) {
			return "", nil, false, nil
		}}
	}})
	c := bridgetest.NewClient(t, b, after(b))
	require.True(t, look(c).New)
	require.Empty(t, c.Cookies())
	require.Zero(t, st.writes.Load())
}

// counting is a store that counts what is written.
type counting struct {
	*livestore.Store
	writes *atomic.Int32
}

func (c counting) App(name string) store.Store {
	return counting{c.Store.App(name).(*livestore.Store), c.writes}
}

func (c counting) Set(ctx context.Context, rec store.Record) (uint64, error) {
	c.writes.Add(1)
	return c.Store.Set(ctx, rec)
}

func (c counting) Destroy(ctx context.Context, id string) (bool, error) {
	c.writes.Add(1)
	return c.Store.Destroy(ctx, id)
}

// Code that is still written against gorilla/sessions finds the values with their types.
func TestValuesForCodeOfGorilla(t *testing.T) {
	old := sessions.NewCookieStore(oldKey)
	b := bridgetest.New(t, &bridge.Options{Import: importer.FromGorilla(old, oldName, importer.Options{})})
	found := make(chan map[any]any, 1)
	c := bridgetest.NewClient(t, b, b.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		session, err := b.Gorilla().Get(r, "sid")
		if err != nil {
			t.Error(err)
		}
		found <- session.Values
	})))
	values := map[any]any{"s": "tea", "n": 7, "f": 1.5, "b": true}
	c.SetCookie(before(t, old, values))
	c.Get("/").Expect(http.StatusOK)
	require.Equal(t, values, <-found)
}

type cart struct{ Item string }

// Other types come out as JSON has them, until the code has saved its own again. A Key converts.
func TestTypesForCodeOfGorilla(t *testing.T) {
	gob.Register(cart{})
	gob.Register(time.Time{})
	old := sessions.NewCookieStore(oldKey)
	b := bridgetest.New(t, &bridge.Options{Import: importer.FromGorilla(old, oldName, importer.Options{})})
	found := make(chan map[any]any, 1)
	c := bridgetest.NewClient(t, b, b.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s, err := b.Session(r)
		if err != nil {
			t.Error(err)
			return
		}
		session, err := b.Gorilla().Get(r, "sid")
		if err != nil {
			t.Error(err)
		}
		found <- maps.Clone(session.Values)
		if _, ok := session.Values["cart"].(cart); ok {
			return
		}
		session.Values["cart"], _ = bridge.NewKey[cart]("cart").Get(s)
		if err := session.Save(r, w); err != nil {
			t.Error(err)
		}
	})))
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	c.SetCookie(before(t, old, map[any]any{
		"cart": cart{"tea"}, "at": at, "bytes": []byte("hi"), "whole": 5.0, "int64": int64(9), "list": []string{"a"},
		"_flash": []any{"lost"}, "kept": []any{"flash"},
	}))
	others := map[any]any{
		"at": "2026-01-02T03:04:05Z", "bytes": "aGk=", "whole": 5, "int64": 9, "list": []any{"a"}, "kept": []any{"flash"},
	}
	for _, is := range []any{map[string]any{"Item": "tea"}, cart{"tea"}} {
		c.Get("/").Expect(http.StatusOK)
		others["cart"] = is
		require.Equal(t, others, <-found)
	}
}

// renaming is the store of an application whose keys are not all strings.
type renaming struct{ sessions.Store }

func (s renaming) New(r *http.Request, name string) (*sessions.Session, error) {
	session, err := s.Store.New(r, name)
	if session != nil {
		session.Values["seven"] = session.Values[7]
		delete(session.Values, 7)
	}
	return session, err
}

func TestKeysCanBeRenamedInAStore(t *testing.T) {
	old := sessions.NewCookieStore(oldKey)
	b := bridgetest.New(t, &bridge.Options{
		Import: importer.FromGorilla(renaming{old}, oldName, importer.Options{UserID: byUser}),
	})
	is := look(moved(t, b, before(t, old, map[any]any{"user": "ada", 7: "v"})))
	require.Equal(t, "ada", is.User)
	require.Equal(t, map[string]any{"seven": "v"}, is.Values)
}

// While the old store is away, nobody is taken for a guest; afterwards the session moves.
func TestG9_OldStoreThatIsAway(t *testing.T) {
	var away atomic.Bool
	away.Store(true)
	b := bridgetest.New(t, &bridge.Options{Import: func(*http.Request) *bridge.Import {
		return &bridge.Import{Key: "key", Load: func(context.Context) (string, map[string]any, bool, error) {
			if away.Load() {
				return "", nil, false, errors.New("away")
			}
			return "ada", nil, true, nil
		}}
	}})
	c := bridgetest.NewClient(t, b, after(b))
	c.Get("/cart").Expect(http.StatusServiceUnavailable)
	c.DialRefused("/ws", nil).Expect(http.StatusServiceUnavailable)
	away.Store(false)
	require.Equal(t, "ada", look(c).User)
}

// A Load that panics costs its own request only.
func TestPanicOfLoad(t *testing.T) {
	var calls atomic.Int32
	b := bridgetest.New(t, &bridge.Options{Import: func(*http.Request) *bridge.Import {
		return &bridge.Import{Key: "key", Load: func(context.Context) (string, map[string]any, bool, error) {
			if calls.Add(1) == 1 {
				panic("a panic that a test wants")
			}
			return "ada", nil, true, nil
		}}
	}})
	h := after(b)
	require.Panics(t, func() {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "https://app.test/cart", nil))
	})
	require.Equal(t, "ada", look(bridgetest.NewClient(t, b, h)).User)
}

// Done that fails is reported, and nothing else.
func TestDoneThatFails(t *testing.T) {
	b := bridgetest.New(t, &bridge.Options{Import: func(*http.Request) *bridge.Import {
		return &bridge.Import{
			Key:  "key",
			Load: func(context.Context) (string, map[string]any, bool, error) { return "ada", nil, true, nil },
			Done: func(context.Context) error { return errors.New("away") },
		}
	}})
	failures := bridgetest.Events[bridge.Failure](t, b)
	c := bridgetest.NewClient(t, b, after(b))
	require.Equal(t, "ada", look(c).User)
	require.ErrorContains(t, failures.Next().Err, "away")
}

func TestImportNeedsAPlace(t *testing.T) {
	_, err := bridge.New(plain{livestore.New()}, &bridge.Options{Import: func(*http.Request) *bridge.Import { return nil }})
	require.ErrorIs(t, err, bridge.ErrUnsupported)
	require.ErrorContains(t, err, "Import")
}

// plain is a store without capabilities.
type plain struct{ store.Store }

// base64 text may have bits that decoding ignores. A cookie that differs only there is the same
// session, which isn't imported again.
func TestG2_CookieThatIsSpelledDifferentlyBringsNothingBack(t *testing.T) {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	old := sessions.NewCookieStore(oldKey)
	b := bridgetest.New(t, &bridge.Options{Import: importer.FromGorilla(old, oldName, importer.Options{UserID: byUser})})
	pad, cookie := "", before(t, old, map[any]any{"user": "ada"})
	for !strings.HasSuffix(cookie.Value, "=") {
		pad += "x"
		cookie = before(t, old, map[any]any{"user": "ada", "pad": pad})
	}
	is := look(moved(t, b, cookie))
	require.Equal(t, "ada", is.User)
	_, err := b.DestroyUser(t.Context(), "ada")
	require.NoError(t, err)

	text := strings.TrimRight(cookie.Value, "=")
	last := strings.IndexByte(alphabet, text[len(text)-1])
	other := *cookie
	other.Value = text[:len(text)-1] + alphabet[last^1:last^1+1] + cookie.Value[len(text):]
	was, err := base64.URLEncoding.DecodeString(cookie.Value)
	require.NoError(t, err)
	now, err := base64.URLEncoding.DecodeString(other.Value)
	require.NoError(t, err)
	require.Equal(t, was, now)
	require.Empty(t, look(moved(t, b, &other)).User)
}
