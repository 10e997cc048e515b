package admin_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
)

const (
	get   = http.MethodGet
	post  = http.MethodPost
	put   = http.MethodPut
	patch = http.MethodPatch
	del   = http.MethodDelete
)

const unknown = "00000000-0000-4000-8000-000000000000"

func TestCreatedSessionIsRead(t *testing.T) {
	b, c := newMain(t, nil)
	a := c.ok(http.StatusCreated, post, "sessions", object{
		"user": "ada", "data": object{"cart": []int{1, 2}, "big": 9007199254740993, "none": nil}, "ttl": 60,
		"addr": "192.0.2.1", "userAgent": "Lynx",
	})
	id := a.text("session.id")
	require.Equal(t, "sessions/"+id, a.Header.Get("Location"))
	require.Len(t, a.get("setCookies"), 2)
	got := c.ok(http.StatusOK, get, "sessions/"+id, nil)
	require.Equal(t, "ada", got.get("user"))
	require.Equal(t, "192.0.2.1", got.get("addr"))
	require.Equal(t, "Lynx", got.get("userAgent"))
	require.Equal(t, "60", got.get("idle"))
	require.Equal(t, "2592000", got.get("lifetime"))
	require.Equal(t, `"`+got.text("revision")+`"`, got.Header.Get("ETag"))
	require.Contains(t, got.Body, `"big":9007199254740993`)
	require.Contains(t, got.Body, `"none":null`)
	require.NotContains(t, got.Body, a.text("token"))
	data := c.ok(http.StatusOK, get, "sessions/"+id+"/data", nil)
	require.JSONEq(t, `{"cart":[1,2],"big":9007199254740993,"none":null}`, data.Body)
	s, err := b.GetByID(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, "ada", s.UserID())
}

func TestGuestWithoutAnythingIsCreated(t *testing.T) {
	_, c := newMain(t, nil)
	for _, body := range []any{nil, "{}", object{"data": object{}}} {
		a := c.ok(http.StatusCreated, post, "sessions", body)
		require.Empty(t, a.get("session.user"))
		require.JSONEq(t, `{}`, c.ok(http.StatusOK, get, "sessions/"+a.text("session.id")+"/data", nil).Body)
	}
}

func TestTimesOfASession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, c := newMain(t, testkit.Expiring(time.Hour))
		for name, test := range map[string]struct {
			body           object
			idle, lifetime string // "" for no limit
		}{
			"the app's":         {object{}, "600", "3600"},
			"sliding":           {object{"ttl": 30}, "30", "3600"},
			"fixed":             {object{"ttl": 30, "fixed": true}, "", "30"},
			"sliding, explicit": {object{"ttl": 30, "fixed": false, "lifetime": 90}, "30", "90"},
			"of fractions":      {object{"ttl": 0.25}, "0.25", "3600"},
			"never":             {object{"ttl": nil, "lifetime": nil}, "", ""},
		} {
			a := c.ok(http.StatusCreated, post, "sessions", test.body)
			require.Equal(t, test.idle, a.get("session.idle"), name)
			require.Equal(t, test.lifetime, a.get("session.lifetime"), name)
			require.Equal(t, test.idle == "" && test.lifetime == "", a.get("session.expires") == "", name)
		}
		fixed, _ := c.create(object{"ttl": 30, "fixed": true})
		sliding, _ := c.create(object{"ttl": 30})
		for range 2 {
			time.Sleep(14 * time.Second)
			c.ok(http.StatusNoContent, post, "sessions/"+fixed+"/touch", nil)
			c.ok(http.StatusNoContent, post, "sessions/"+sliding+"/touch", nil)
		}
		time.Sleep(14 * time.Second)
		c.ok(http.StatusNotFound, get, "sessions/"+fixed, nil)
		c.ok(http.StatusOK, get, "sessions/"+sliding, nil)
		a := c.ok(http.StatusOK, put, "sessions/"+sliding+"/ttl", object{"idle": nil, "lifetime": 120})
		require.Empty(t, a.get("idle"))
		require.Equal(t, "120", a.get("lifetime"))
		time.Sleep(121*time.Second - 42*time.Second)
		c.ok(http.StatusNotFound, get, "sessions/"+sliding, nil)
	})
}

// The faults of rest-sessions: ttl 0, "3600" and 1e12 were accepted.
func TestRESTFault_TimesAreNumbersInRange(t *testing.T) {
	_, c := newMain(t, nil)
	id, _ := c.create(nil)
	for _, bad := range []any{0, -1, "3600", 1e12, 3153600001, 0.0004, true, []int{1}, object{}, ""} {
		c.refused("ttl", post, "sessions", object{"ttl": bad})
		c.refused("lifetime", post, "sessions", object{"lifetime": bad})
		c.refused("idle", put, "sessions/"+id+"/ttl", object{"idle": bad})
		c.refused("olderThan", post, "sessions/sweep", object{"olderThan": bad})
	}
	c.refused("ttl", post, "sessions", object{"fixed": true})
	c.refused("ttl", post, "sessions", object{"fixed": true, "ttl": nil})
	c.refused("lifetime", post, "sessions", object{"fixed": true, "ttl": 1, "lifetime": 2})
	c.refused("idle", put, "sessions/"+id+"/ttl", object{})
	for _, bad := range []string{"0", "-1", "1e12", "x", "NaN", "Inf", "0x10", "1_0", ""} {
		c.refused("within", get, "activity?within="+bad, nil)
		c.refused("activeWithin", get, "sessions?activeWithin="+bad, nil)
	}
}

func TestMergePatch(t *testing.T) {
	_, c := newMain(t, nil)
	id, _ := c.create(object{"data": object{"a": object{"b": 1, "c": 2}, "list": []int{1}, "gone": 1, "stays": "x"}})
	before := c.ok(http.StatusOK, get, "sessions/"+id, nil)
	a := c.ok(http.StatusOK, patch, "sessions/"+id+"/data",
		`{"a":{"b":null,"d":{"e":null,"f":1}},"list":[2,null],"gone":null,"never":null,"new":{"x":{"y":null}}}`,
		"Content-Type", "application/merge-patch+json")
	const merged = `{"a":{"c":2,"d":{"f":1}},"list":[2,null],"stays":"x","new":{"x":{}}}`
	require.JSONEq(t, merged, c.ok(http.StatusOK, get, "sessions/"+id+"/data", nil).Body)
	require.NotEqual(t, before.get("revision"), a.get("revision"))
	require.Equal(t, `"`+a.text("revision")+`"`, a.Header.Get("ETag"))
	again := c.ok(http.StatusOK, patch, "sessions/"+id+"/data", object{"stays": "x"})
	require.Equal(t, a.get("revision"), again.get("revision"), "nothing has changed")
}

func TestReplaceData(t *testing.T) {
	b, c := newMain(t, nil)
	id, _ := c.create(object{"user": "ada", "data": object{"a": 1, "b": 2}})
	require.NoError(t, b.UpdateByID(t.Context(), id, func(_ context.Context, s *bridge.Session) error {
		s.AddFlash("hello")
		return nil
	}))
	a := c.ok(http.StatusOK, put, "sessions/"+id+"/data", object{"b": nil, "c": 3})
	require.Equal(t, "ada", a.get("user"))
	require.JSONEq(t, `{"b":null,"c":3}`, c.ok(http.StatusOK, get, "sessions/"+id+"/data", nil).Body)
	require.NoError(t, b.UpdateByID(t.Context(), id, func(_ context.Context, s *bridge.Session) error {
		require.Empty(t, s.Flashes())
		return nil
	}))
}

func TestKeysOfTheLibraryAreRefused(t *testing.T) {
	b, c := newMain(t, nil)
	id, _ := c.create(object{"data": object{"a": 1}})
	for _, key := range []string{"_bridge_x", "_gorilla_x"} {
		c.refused("data", post, "sessions", object{"data": object{key: 1}})
		c.refused("data", patch, "sessions/"+id+"/data", object{key: 1})
		c.refused("data", put, "sessions/"+id+"/data", object{key: 1})
	}
	s, err := b.GetByID(t.Context(), id)
	require.NoError(t, err)
	_, kept := s.Get("a")
	require.True(t, kept)
}

func TestETagAndIfMatch(t *testing.T) {
	b, c := newMain(t, nil)
	id, _ := c.create(object{"data": object{"n": 0}})
	first := c.ok(http.StatusOK, get, "sessions/"+id, nil).Header.Get("ETag")
	second := c.ok(http.StatusOK, patch, "sessions/"+id+"/data", object{"n": 1}, "If-Match", first).Header.Get("ETag")
	require.NotEqual(t, first, second)
	for _, path := range []string{"/data", "/ttl"} {
		for _, stale := range []string{first, `"unknown"`, `W/` + second, first + ", " + first, `""`} {
			a := c.do(put, "sessions/"+id+path, object{"idle": 60}, "If-Match", stale)
			require.Equal(t, http.StatusPreconditionFailed, a.Status, stale)
		}
	}
	c.ok(http.StatusPreconditionFailed, del, "sessions/"+id, nil, "If-Match", first)
	for _, bad := range []string{"", "7", `"7`, `7"`, `"7" "8"`, `"a,b"`, strings.Repeat(`"7",`, 1000)} {
		c.refused("If-Match", patch, "sessions/"+id+"/data", object{"n": 2}, "If-Match", bad)
	}
	require.JSONEq(t, `{"n":1}`, c.ok(http.StatusOK, get, "sessions/"+id+"/data", nil).Body)
	require.NoError(t, b.TouchByID(t.Context(), id))
	c.ok(http.StatusNotModified, get, "sessions/"+id+"/data", nil, "If-None-Match", second)
	c.ok(http.StatusNotModified, get, "sessions/"+id+"/data", nil, "If-None-Match", "*")
	c.ok(http.StatusOK, get, "sessions/"+id+"/data", nil, "If-None-Match", first)
	c.ok(http.StatusOK, patch, "sessions/"+id+"/data", object{"n": 2}, "If-Match", first+", "+second)
	c.ok(http.StatusOK, patch, "sessions/"+id+"/data", object{"n": 3}, "If-Match", "*")
	c.ok(http.StatusNotFound, patch, "sessions/"+unknown+"/data", object{"n": 3}, "If-Match", "*")
	last := c.ok(http.StatusOK, get, "sessions/"+id, nil).Header.Get("ETag")
	c.ok(http.StatusNoContent, del, "sessions/"+id, nil, "If-Match", last)
	c.ok(http.StatusNotFound, get, "sessions/"+id, nil)
}

// The fault of rest-sessions: 20 concurrent sets of different keys kept 1.
func TestRESTFault_ConcurrentPatchesAreAllKept(t *testing.T) {
	_, c := newMain(t, nil)
	id, _ := c.create(nil)
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			a := c.do(patch, "sessions/"+id+"/data", object{"k" + string(rune('a'+i)): i})
			require.Equal(t, http.StatusOK, a.Status)
		})
	}
	all.Wait()
	require.Equal(t, 20, strings.Count(c.ok(http.StatusOK, get, "sessions/"+id+"/data", nil).Body, `"k`))
}

// Of several that increment with If-Match, one at a time succeeds.
func TestIfMatchLosesNoUpdate(t *testing.T) {
	_, c := newMain(t, nil)
	id, _ := c.create(object{"data": object{"n": 0}})
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for done := 0; done < 10; {
				now := c.do(get, "sessions/"+id+"/data", nil)
				n := testkit.Atoi(t, now.text("n"))
				a := c.do(patch, "sessions/"+id+"/data", object{"n": n + 1}, "If-Match", now.Header.Get("ETag"))
				switch a.Status {
				case http.StatusOK:
					done++
				default:
					require.Equal(t, http.StatusPreconditionFailed, a.Status)
				}
			}
		})
	}
	all.Wait()
	require.Equal(t, "40", c.ok(http.StatusOK, get, "sessions/"+id+"/data", nil).get("n"))
}

// The fault of rest-sessions: 200 and {} for a session that doesn't exist.
func TestRESTFault_AMissingSessionIs404(t *testing.T) {
	_, c := newMain(t, nil)
	ended, token := c.create(object{"user": "ada"})
	c.ok(http.StatusNoContent, del, "sessions/"+ended, nil)
	for _, id := range []string{unknown, ended, strings.ToUpper(unknown), "x", "%00", "..%2f..", strings.Repeat("a", 5000), "a:b", "*"} {
		for _, a := range []answer{
			c.do(get, "sessions/"+id, nil),
			c.do(get, "sessions/"+id+"/data", nil),
			c.do(put, "sessions/"+id+"/data", object{}),
			c.do(patch, "sessions/"+id+"/data", object{"a": 1}),
			c.do(put, "sessions/"+id+"/ttl", object{"idle": 1}),
			c.do(post, "sessions/"+id+"/touch", nil),
			c.do(del, "sessions/"+id, nil),
		} {
			require.Equal(t, http.StatusNotFound, a.Status, "%.40s: %s", id, a.Body)
		}
	}
	for _, path := range []string{"resolve", "rotate", "logout"} {
		a := c.ok(http.StatusNotFound, post, "sessions/"+path, object{"token": token})
		require.Equal(t, "ended", a.get("reason"))
		a = c.ok(http.StatusNotFound, post, "sessions/"+path, object{"token": "forged"})
		require.Equal(t, "refused", a.get("reason"))
	}
	c.ok(http.StatusNotFound, post, "sessions/login", object{"token": token, "user": "ada"})
}

func TestSessionIsDestroyedOnce(t *testing.T) {
	b, c := newMain(t, nil)
	id, _ := c.create(nil)
	c.ok(http.StatusNoContent, del, "sessions/"+id, nil)
	c.ok(http.StatusNotFound, del, "sessions/"+id, nil)
	require.False(t, testkit.SessionExists(t, b, id))
}
