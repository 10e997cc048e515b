package security_test

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
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
	"github.com/sessionbridge/sessionbridge/store"
)

func TestS21_KeyFileIsCreatedForItsOwnerOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	keys, err := bridge.LoadOrCreateKeys(path)
	require.NoError(t, err)
	require.Len(t, keys, 1)
	require.GreaterOrEqual(t, len(keys[0]), 32)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode())
	again, err := bridge.LoadOrCreateKeys(path)
	require.NoError(t, err)
	require.Equal(t, keys, again)
	files, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.Len(t, files, 1, "nothing is left lying about")
	other, err := bridge.LoadOrCreateKeys(filepath.Join(t.TempDir(), "keys"))
	require.NoError(t, err)
	require.NotEqual(t, keys, other)
}

// An error of a function that reads keys has the package's prefix.
func TestErrorsOfKeysNameThePackage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	_, err := bridge.LoadKeys(path)
	require.ErrorContains(t, err, "bridge: key file "+path+": ")
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = bridge.ParseKeys("")
	require.EqualError(t, err, "bridge: keys: no key in it: is the variable set, or the file the right one?")
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	_, err = bridge.LoadOrCreateKeys(path)
	require.EqualError(t, err, "bridge: key file "+path+": no key in it: is the variable set, or the file the right one?")
	require.NoError(t, os.WriteFile(path, []byte(strings.Repeat("QUJD", 11)+"\n"), 0o600))
	keys, err := bridge.LoadKeys(path)
	require.NoError(t, err)
	require.Len(t, keys, 1)
}

// keyOf returns a key that consists of one letter.
func keyOf(letter string) []byte { return []byte(strings.Repeat(letter, 32)) }

// keyApp returns the handler of an application over st with the keys.
func keyApp(t *testing.T, st store.Store, opts bridge.Options, keys ...[]byte) (*testkit.App, http.Handler) {
	opts.Keys = keys
	a := testkit.NewApp(t, st, &opts)
	return a, a.Handler(a.Mux)
}

// To replace a key the new one goes in front. The old one stays until browsers have cookies of the
// new one, which the next response sets: the same tokens, so that nothing else changes.
func TestNewKeySignsAndOldKeyStillVerifies(t *testing.T) {
	old, next := keyOf("o"), keyOf("n")
	st := livestore.New()
	_, before := keyApp(t, st, bridge.Options{}, old)
	_, during := keyApp(t, st, bridge.Options{}, next, old)
	_, after := keyApp(t, st, bridge.Options{}, next)
	visitor := webclient.Pocket{}
	visitor.Get(t, before, "/inc")
	late := maps.Clone(visitor)
	require.Equal(t, "1", visitor.Get(t, during, "/get").Body.String())
	require.NotEqual(t, late["sid"], visitor["sid"])
	require.NotEqual(t, late["sid.cid"], visitor["sid.cid"])
	require.Empty(t, visitor.Get(t, during, "/get").Header()["Set-Cookie"])
	require.Equal(t, "2", visitor.Get(t, after, "/inc").Body.String(), "the new key has signed it")
	require.Equal(t, "0", visitor.Get(t, before, "/get").Body.String())
	require.Equal(t, "2", late.Get(t, during, "/get").Body.String(), "a response that was lost costs nothing")
	late = webclient.Pocket{"sid": late["sid"]}
	require.Equal(t, "2", late.Get(t, after, "/get").Body.String())
	require.True(t, slices.Equal(next, keyOf("n")), "the caller's keys are not touched")
}

// Responses that can't set a cookie, or that shared caches may store, leave it, and so does a
// request that never asks for its session.
func TestCookieIsSignedAnewOnlyWhereItMayBeSet(t *testing.T) {
	st := livestore.New()
	_, before := keyApp(t, st, bridge.Options{}, keyOf("o"))
	a, during := keyApp(t, st, bridge.Options{}, keyOf("n"), keyOf("o"))
	a.Mux.HandleFunc("/shared", func(w http.ResponseWriter, r *http.Request) {
		_, err := a.Session(r)
		require.NoError(t, err)
		w.Header().Set("Cache-Control", "public, max-age=60")
	})
	a.Mux.HandleFunc("/begun", func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		_, err := a.Session(r)
		require.NoError(t, err)
	})
	visitor := webclient.Pocket{}
	visitor.Get(t, before, "/inc")
	for _, path := range []string{"/shared", "/begun", "/plain"} {
		w := visitor.Get(t, during, path)
		require.Equal(t, http.StatusOK, w.Code, path)
		require.Empty(t, w.Header()["Set-Cookie"], path)
	}
	w := visitor.Get(t, during, "/logout")
	require.Len(t, w.Header()["Set-Cookie"], 2, "the session cookie is removed, the client cookie is signed anew")
	require.Empty(t, visitor["sid"])
}

// A slow response never replaces the cookie of a login, a rotation or another session that the
// browser got meanwhile.
func TestCookieSignedAnewReplacesNoNewerOne(t *testing.T) {
	for _, path := range []string{"/login?user=ada", "/rotate", "/logout"} {
		t.Run(path, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				st := livestore.New()
				_, before := keyApp(t, st, bridge.Options{}, keyOf("o"))
				a, during := keyApp(t, st, bridge.Options{}, keyOf("n"), keyOf("o"))
				a.Page("/slow", func(r *http.Request) (any, error) {
					_, err := a.Session(r)
					time.Sleep(time.Second)
					return "", err
				})
				visitor := webclient.Pocket{}
				visitor.Get(t, before, "/inc")
				slow := visitor.Begin(t, during, "/slow")
				visitor.Get(t, during, path)
				newest := visitor["sid"]
				visitor.Arrive(slow)
				require.Equal(t, newest, visitor["sid"])
			})
		})
	}
}

// SetKeys takes effect for requests that are under way, and changes nothing after an error.
func TestSetKeysWhileRequestsRun(t *testing.T) {
	a, h := keyApp(t, livestore.New(), bridge.Options{}, keyOf("o"))
	visitor := webclient.Pocket{}
	visitor.Get(t, h, "/inc")
	var visits sync.WaitGroup
	for range 4 {
		visits.Go(func() {
			p := maps.Clone(visitor)
			for range 50 {
				if w := p.Get(t, h, "/get"); w.Body.String() != "1" {
					t.Errorf("%d: %s", w.Code, w.Body)
				}
			}
		})
	}
	for range 50 {
		require.NoError(t, a.SetKeys([][]byte{keyOf("n"), keyOf("o")}))
		require.NoError(t, a.SetKeys([][]byte{keyOf("o"), keyOf("n")}))
	}
	visits.Wait()
	require.EqualError(t, a.SetKeys(nil), "bridge: Options.Keys: an empty list; nil in New means a random key")
	require.EqualError(t, a.SetKeys([][]byte{keyOf("n"), []byte("short")}),
		"bridge: Options.Keys[1]: 5 bytes, at least 32 are needed")
	require.EqualError(t, a.SetKeys([][]byte{keyOf("b"), keyOf("a"), keyOf("b")}),
		"bridge: Options.Keys[2]: the same key as Keys[0]: remove one of the two")
	require.Equal(t, "1", visitor.Get(t, h, "/get").Body.String())

	mine := keyOf("n")
	require.NoError(t, a.SetKeys([][]byte{mine, keyOf("o")}))
	clear(mine)
	visitor.Get(t, h, "/get")
	require.NoError(t, a.SetKeys([][]byte{keyOf("n")}))
	require.Equal(t, "1", visitor.Get(t, h, "/get").Body.String())
}

// A client without cookies gets its token signed anew, too.
func TestTokenOfAnOlderKeyIsSignedAnew(t *testing.T) {
	st := livestore.New()
	opts := bridge.Options{TokenFrom: bridge.TokenFromHeader("Authorization")}
	_, before := keyApp(t, st, opts, keyOf("o"))
	_, during := keyApp(t, st, opts, keyOf("n"), keyOf("o"))
	_, after := keyApp(t, st, opts, keyOf("n"))
	get := func(h http.Handler, path, token string) *httptest.ResponseRecorder {
		r := webclient.Request(t, path)
		r.Header.Set("Authorization", "Bearer "+token)
		return webclient.Pocket{}.Send(h, r)
	}
	old := get(before, "/inc", "").Header().Get(bridge.SessionTokenHeader)
	next := get(during, "/get", old).Header().Get(bridge.SessionTokenHeader)
	require.NotEmpty(t, next)
	require.Equal(t, "1", get(after, "/get", next).Body.String())
	require.Equal(t, "0", get(after, "/get", old).Body.String())
}

// Browsers keep their sessions when the cookies get other names, and lose the cookies of the former
// ones.
func TestFormerNames(t *testing.T) {
	st := livestore.New()
	_, before := keyApp(t, st, bridge.Options{ClientName: "browser"}, keyOf("k"))
	_, h := keyApp(t, st, bridge.Options{
		Name: "session", StrictBinding: true,
		FormerNames: []bridge.CookieNames{{Name: "sid", ClientName: "browser"}},
	}, keyOf("k"))
	visitor := webclient.Pocket{}
	visitor.Get(t, before, "/inc")
	id := visitor.Get(t, before, "/id").Body.String()
	require.Equal(t, "2", visitor.Get(t, h, "/inc").Body.String())
	require.Equal(t, id, visitor.Get(t, h, "/id").Body.String())
	require.Equal(t, []string{"session", "session.cid"}, slices.Sorted(maps.Keys(visitor)))

	visitor.Get(t, before, "/inc")
	require.Contains(t, visitor, "sid", "a node without the new name gives the browser another session")
	visitor.Get(t, h, "/logout")
	require.NotContains(t, visitor, "sid")
	require.NotContains(t, visitor, "session")
	require.Equal(t, "0", visitor.Get(t, h, "/get").Body.String())
}

// After a change of the Domain or the Path a browser has one session cookie, as soon as one is set.
func TestFormerScopes(t *testing.T) {
	st := livestore.New()
	a := testkit.NewApp(t, st, &bridge.Options{Keys: [][]byte{keyOf("k")}, Path: "/app"})
	b := testkit.NewApp(t, st, &bridge.Options{
		Keys: [][]byte{keyOf("k")}, FormerScopes: []bridge.CookieScope{{Path: "/app"}},
	})
	mux := http.NewServeMux()
	mux.Handle("/app/before/", http.StripPrefix("/app/before", a.Handler(a.Mux)))
	mux.Handle("/app/", http.StripPrefix("/app", b.Handler(b.Mux)))
	mux.Handle("/", b.Handler(b.Mux))
	site := webclient.Serve(t, mux)
	br := webclient.NewBrowser(t, site)
	app, err := br.Base.Parse("/app/")
	require.NoError(t, err)
	sent := func() (n int) {
		for _, c := range br.Client.Jar.Cookies(app) {
			if c.Name == "sid" {
				n++
			}
		}
		return n
	}
	br.OK("/app/before/inc")
	require.Equal(t, "1", br.OK("/app/get"))
	require.Equal(t, "0", br.OK("/get"), "the former path")
	br.OK("/app/rotate")
	require.Equal(t, 1, sent())
	require.Equal(t, "1", br.OK("/get"))
	br.OK("/app/before/rotate")
	require.Equal(t, 2, sent())
	br.OK("/app/logout")
	require.Zero(t, sent())
}

// An application has moved from a Domain to cookies with the prefix __Host-, which no sibling host
// can set. A cookie of the former scope, which one can, doesn't take the place of the browser's own.
func TestTossedCookieOfAFormerScopeReplacesNoHostCookie(t *testing.T) {
	for _, c := range []struct {
		name  string
		opts  bridge.Options
		tools bridge.Options // of a deployment from which an attacker gets cookies of the former name
		url   string         // of it
	}{
		{
			"over plain HTTP",
			bridge.Options{FormerScopes: []bridge.CookieScope{{Domain: "example.test"}}},
			bridge.Options{FormerScopes: []bridge.CookieScope{{Domain: "example.test"}}},
			"http://shop.example.test",
		},
		{
			"a node of the earlier version",
			bridge.Options{FormerScopes: []bridge.CookieScope{{Domain: "example.test"}}},
			bridge.Options{Domain: "example.test"},
			"https://shop.example.test",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				st := livestore.New()
				_, h := slotApp(t, st, c.opts)
				_, tool := slotApp(t, st, c.tools)
				visit := func(p webclient.Pocket, h http.Handler, url string) *httptest.ResponseRecorder {
					return p.Send(h, httptest.NewRequestWithContext(t.Context(), http.MethodGet, url, nil))
				}
				victim, attacker := webclient.Pocket{}, webclient.Pocket{}
				visit(victim, h, "https://shop.example.test/login?user=ada")
				own := victim["__Host-sid"]
				require.NotEmpty(t, own)
				time.Sleep(time.Minute)
				visit(attacker, tool, c.url+"/login?user=eve")
				require.NotEmpty(t, attacker["sid"])
				victim["sid"], victim["sid.cid"] = attacker["sid"], attacker["sid.cid"]
				require.Equal(t, "ada", visit(victim, h, "https://shop.example.test/who").Body.String())
				require.Equal(t, own, victim["__Host-sid"], "the browser keeps its session")
			})
		})
	}
}
