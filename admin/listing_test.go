package admin_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/teststore"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
)

// listed returns the IDs of a page of sessions.
func listed(t testing.TB, a answer) (ids []string) {
	t.Helper()
	var page struct{ Sessions []struct{ ID string } }
	require.NoError(t, json.Unmarshal([]byte(a.Body), &page))
	for _, s := range page.Sessions {
		ids = append(ids, s.ID)
	}
	return ids
}

func TestSessionsAreListedInPages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, c := newMain(t, testkit.Lasting())
		for i := range 25 {
			c.create(object{"user": fmt.Sprint("u", i%2)})
			if i%5 == 4 { // five at a time
				time.Sleep(time.Second)
			}
		}
		whole := listed(t, c.ok(http.StatusOK, get, "sessions?limit=0", nil))
		require.ElementsMatch(t, testkit.ListedIDs(t, b, bridge.Filter{}), whole)
		for _, size := range []int{1, 2, 3, 7, 25, 100} {
			var got []string
			cursor := ""
			for pages := 0; pages == 0 || cursor != ""; pages++ {
				a := c.ok(http.StatusOK, get, fmt.Sprintf("sessions?limit=%d&cursor=%s", size, url.QueryEscape(cursor)), nil)
				require.LessOrEqual(t, len(listed(t, a)), size)
				require.Equal(t, true, a.get("complete"))
				got, cursor = append(got, listed(t, a)...), a.text("next")
			}
			require.Equal(t, whole, got, size)
		}
		first := c.ok(http.StatusOK, post, "sessions/search", object{"user": "u0", "limit": 10})
		rest := c.ok(http.StatusOK, post, "sessions/search", object{"user": "u0", "cursor": first.get("next")})
		require.ElementsMatch(t, testkit.ListedIDs(t, b, bridge.Filter{UserID: "u0"}), append(listed(t, first), listed(t, rest)...))
		require.NotContains(t, first.Body, `"data"`)
		info, err := b.Info(t.Context(), whole[0])
		require.NoError(t, err)
		require.Equal(t, []string{whole[0]}, listed(t, c.ok(http.StatusOK, post, "sessions/search", object{"client": info.ClientID})))
	})
}

// A session that becomes active between two pages is in one of them, and no other is missing.
func TestPagesMissNoneOfThoseThatStayQuiet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, c := newMain(t, testkit.Lasting())
		for range 10 {
			c.create(nil)
			time.Sleep(time.Minute)
		}
		a := c.ok(http.StatusOK, get, "sessions?limit=4", nil)
		seen := listed(t, a)
		all := testkit.ListedIDs(t, b, bridge.Filter{})
		require.NoError(t, b.TouchByID(t.Context(), all[9]))
		c.create(nil)
		seen = append(seen, listed(t, c.ok(http.StatusOK, get, "sessions?cursor="+a.text("next"), nil))...)
		require.Equal(t, all[:9], seen)
	})
}

func TestActiveSessionsAndActivity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, c := newMain(t, testkit.Expiring(time.Hour))
		_, old := c.create(object{"user": "ada"})
		time.Sleep(40 * time.Second)
		recent, _ := c.create(object{"user": "bob"})
		require.Equal(t, []string{recent}, listed(t, c.ok(http.StatusOK, get, "sessions?activeWithin=10", nil)))
		require.Len(t, listed(t, c.ok(http.StatusOK, get, "sessions?activeWithin=300", nil)), 2)
		a := c.ok(http.StatusOK, get, "activity?within=10", nil)
		require.Equal(t, "1", a.get("users"))
		require.Equal(t, "1", a.get("sessions"))
		time.Sleep(time.Second)
		c.ok(http.StatusOK, post, "sessions/resolve", object{"token": old}) // not recorded yet
		both := listed(t, c.ok(http.StatusOK, post, "sessions/search", object{"activeWithin": 20}))
		require.Len(t, both, 2)
		require.NotEqual(t, recent, both[0], "the last active first")
		require.Equal(t, "2", c.ok(http.StatusOK, get, "activity?within=20", nil).get("users"))
		c.refused("within", get, "activity", nil)
	})
}

func TestInputOfLists(t *testing.T) {
	_, c := newMain(t, nil)
	for _, bad := range []string{"-1", "1.5", "x", "1000001", ""} {
		c.refused("limit", get, "sessions?limit="+bad, nil)
		c.refused("limit", get, "conns?limit="+bad, nil)
	}
	for _, bad := range []string{"x", "%00", "MTIz", strings.Repeat("A", 5000), "MSAwMDAwMDAwMA"} {
		c.refused("cursor", get, "sessions?cursor="+bad, nil)
	}
	c.refused("limit", get, "sessions?limit=1&limit=2", nil)
	c.refused("page", get, "sessions?page=2", nil)
	a := c.do(get, "sessions?limit=%zz", nil)
	require.Equal(t, http.StatusBadRequest, a.Status)
	for field, bad := range map[string]any{"user": "", "client": "x", "activeWithin": "1", "limit": 1.5, "cursor": 1, "id": "x"} {
		c.refused(field, post, "sessions/search", object{field: bad})
	}
	c.refused("user", post, "sessions/search", object{"user": "a\x00"})
	c.refused("user", post, "sessions/search", object{"user": strings.Repeat("a", 256)})
}

// counter is a ResponseWriter that keeps nothing.
type counter struct {
	discard http.Header
	status  int
	bytes   int64
	most    uint64 // of the heap while it was written to
	calls   int
}

func (c *counter) Header() http.Header    { return c.discard }
func (c *counter) WriteHeader(status int) { c.status = status }
func (c *counter) Write(p []byte) (int, error) {
	c.bytes += int64(len(p))
	if c.calls++; c.calls%100 == 0 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		c.most = max(c.most, m.HeapAlloc)
	}
	return len(p), nil
}

func TestListOf100kSessionsStreamsInConstantMemory(t *testing.T) {
	st := livestore.New()
	now := time.Now().UTC().Truncate(time.Millisecond)
	for i := range 100_000 {
		_, err := st.Set(t.Context(), store.Record{
			ID: fmt.Sprintf("00000000-0000-4000-8000-%012x", i), ClientID: unknown, Data: []byte(`{}`),
			Created: now, Seen: now.Add(-time.Duration(i/10) * time.Millisecond),
		})
		require.NoError(t, err)
	}
	c := newClient(t, testkit.NewBridge(t, st, testkit.Lasting()), nil)
	runtime.GC()
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	r := httptest.NewRequestWithContext(t.Context(), get, "/v1/main/sessions?limit=0", nil)
	r.Header.Set("Authorization", "Bearer "+reader)
	w := &counter{discard: http.Header{}}
	c.h.ServeHTTP(w, r)
	require.Equal(t, http.StatusOK, w.status)
	require.Greater(t, w.bytes, int64(20_000_000))
	require.Less(t, int64(w.most)-int64(before.HeapAlloc), int64(8<<20), "held while %d bytes are sent", w.bytes)
}

// A list that fails in the middle must not look like a whole one.
func TestFailureWithinAStreamAbortsIt(t *testing.T) {
	st := &breaking{Store: livestore.New()}
	b := testkit.NewBridge(t, st, testkit.Lasting())
	c := newClient(t, b, nil)
	for range 300 {
		c.create(nil)
	}
	c.ok(http.StatusOK, get, "sessions?limit=0", nil)
	st.after = 5
	c.ok(http.StatusServiceUnavailable, get, "sessions?limit=0", nil)
	st.after = 250
	srv := httptest.NewServer(c.h)
	defer srv.Close()
	r, err := http.NewRequestWithContext(t.Context(), get, srv.URL+"/v1/main/sessions?limit=0", nil)
	require.NoError(t, err)
	r.Header.Set("Authorization", "Bearer "+reader)
	res, err := srv.Client().Do(r)
	require.NoError(t, err)
	defer res.Body.Close()
	require.Equal(t, http.StatusOK, res.StatusCode)
	var page any
	require.Error(t, json.NewDecoder(res.Body).Decode(&page))
}

func TestDownStoreIs503(t *testing.T) {
	st := teststore.NewFaulty()
	b := testkit.NewBridge(t, st, nil)
	c := newClient(t, b, nil)
	id, token := c.create(nil)
	st.Always(teststore.Refuse(errors.New("down")), "Get", "Set", "Destroy", "Touch", "List", "Ping", "Sweep")
	for _, a := range []answer{
		c.do(get, "sessions/"+id, nil), c.do(patch, "sessions/"+id+"/data", object{"a": 1}),
		c.do(post, "sessions/resolve", object{"token": token}), c.do(del, "sessions/"+id, nil),
		c.do(post, "sessions", nil), c.do(get, "ping", nil), c.do(get, "health", nil),
	} {
		require.Equal(t, http.StatusServiceUnavailable, a.Status, a.Body)
		require.Equal(t, "1", a.Header.Get("Retry-After"))
		require.NotContains(t, a.Body, "down")
	}
	st.Heal()
	c.ok(http.StatusOK, get, "sessions/"+id, nil)
}

func TestStoreWithoutAnIndexIs501(t *testing.T) {
	c := newClient(t, testkit.NewBridge(t, bare{livestore.New()}, nil), nil)
	c.ok(http.StatusNotImplemented, get, "sessions", nil)
	c.ok(http.StatusNotImplemented, get, "activity?within=1", nil)
	c.ok(http.StatusNotImplemented, post, "sessions/destroy-all", nil)
	c.ok(http.StatusNotImplemented, post, "sessions/destroy-user", object{"user": "ada"})
	c.ok(http.StatusNotImplemented, post, "sessions/sweep", object{"olderThan": 1})
	c.ok(http.StatusNotImplemented, post, "sessions/cleanup", nil)
}
