package admin_test

import (
	"bytes"
	"encoding/json"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/admin"
	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// target is an API for requests of any kind, with a session and what opens it.
type target struct {
	h         http.Handler
	b         *bridge.Bridge
	id, token string
}

func newTarget(t testing.TB) *target {
	b := testkit.NewBridge(t, livestore.New(), &bridge.Options{
		Keys: [][]byte{testkit.Key()}, AutoCleanup: bridge.Off, MaxValueBytes: 4096, MaxSessionsPerUser: 100,
	})
	h, err := admin.Handler(b, &admin.Options{
		Keys: keys(), KeyRate: admin.Off, AddrRate: admin.Off,
		ForwardAuth: admin.ForwardAuth{WithoutKey: true, Values: map[string]string{"X-A": "a"}},
	})
	require.NoError(t, err)
	x := &target{h: h, b: b}
	x.renew(t)
	return x
}

func (x *target) renew(t testing.TB) {
	c, err := x.b.Create(t.Context(), bridge.NewSession{UserID: "ada", Data: object{"a": 1, "o": object{"b": []int{1}}}})
	require.NoError(t, err)
	x.id, x.token = c.SessionID, c.Token
}

// send sends a request, and fails the test if the API does.
func (x *target) send(t testing.TB, method, path, query, body, header string) int {
	path = strings.NewReplacer("ID", x.id, "TOKEN", x.token).Replace(path)
	body = strings.NewReplacer("ID", x.id, "TOKEN", x.token).Replace(body)
	r := httptest.NewRequestWithContext(contextFor(t, path), get, "/", io.NopCloser(strings.NewReader(body)))
	r.Method, r.ContentLength = method, int64(len(body))
	r.URL.Path, r.URL.RawQuery = path, query
	r.Header.Set("Authorization", "Bearer "+writer)
	r.Header.Set("Content-Type", "application/json")
	if name, value, ok := strings.Cut(header, ":"); ok {
		r.Header[http.CanonicalHeaderKey(name)] = []string{strings.ReplaceAll(value, "TOKEN", x.token)}
	}
	w := httptest.NewRecorder()
	x.h.ServeHTTP(w, r)
	if text := w.Body.Bytes(); w.Code < 200 || w.Code >= 500 || len(text) > 0 && !json.Valid(text) && !isEvents(text) {
		require.Fail(t, "the API fails", "%q %q?%q %q %q: %d %s", method, path, query, body, header, w.Code, text)
	}
	return w.Code
}

// isEvents reports whether an answer is the beginning of a stream of events, or the dashboard.
func isEvents(text []byte) bool {
	return bytes.HasPrefix(text, []byte(": connected\n")) || bytes.HasPrefix(text, []byte("<!doctype html>"))
}

// FuzzRequests sends any request: the API never fails.
func FuzzRequests(f *testing.F) {
	for _, rt := range admin.RouteList() {
		path := strings.NewReplacer("{app}", "main", "{id}", "ID").Replace(rt.Pattern)
		f.Add(rt.Method, path, "limit=1", `{"user":"ada","token":"TOKEN","data":{"a":null},"to":{"all":true},"ttl":1}`, "If-Match:*")
		f.Add(rt.Method, path, "", "", "Cookie:sid=TOKEN")
	}
	x := newTarget(f)
	f.Fuzz(func(t *testing.T, method, path, query, body, header string) {
		if strings.HasSuffix(path, "/cleanup") || strings.Contains(path, "destroy") || method == del {
			x.renew(t)
		}
		x.send(t, method, path, query, body, header)
	})
}

// chaos makes random requests that are nearly right.
type chaos struct{ *rand.Rand }

func pick[T any](c chaos, of ...T) T { return of[c.IntN(len(of))] }

func (c chaos) value(depth int) any {
	if depth > 0 && c.IntN(3) == 0 {
		o := object{}
		for range c.IntN(4) {
			o[c.field()] = c.value(depth - 1)
		}
		if c.IntN(4) == 0 {
			return []any{o, c.value(depth - 1)}
		}
		return o
	}
	return pick[any](c, nil, true, false, 0, 1, -1, 60, 1e12, 1.5, "", "ada", "ID", "TOKEN", "a\x00b", "Ω", strings.Repeat("x", 300),
		[]any{}, []string{"ID"}, []string{"ada", "bob"}, object{"all": true}, object{"user": "ada"}, unknown)
}

func (c chaos) field() string {
	return pick(c, "user", "client", "data", "ttl", "fixed", "lifetime", "idle", "addr", "userAgent", "token", "cookie", "plainHTTP",
		"activity", "limit", "cursor", "activeWithin", "olderThan", "unusedFor", "except", "session", "name", "openFor", "quietFor",
		"code", "reason", "to", "text", "json", "binary", "users", "all", "conns", "a", "o", "b", "_bridge_x", "_gorilla_x", "", "x")
}

func (c chaos) body(t testing.TB) string {
	switch c.IntN(10) {
	case 0:
		return ""
	case 1:
		text := make([]byte, c.IntN(40))
		for i := range text {
			text[i] = pick(c, []byte(`{}[]",:\u0018dnul "abtrue.-+eE`+"\x00\xff\n")...)
		}
		return string(text)
	}
	o := object{}
	for range c.IntN(5) {
		o[c.field()] = c.value(3)
	}
	text, err := json.Marshal(o)
	require.NoError(t, err)
	if c.IntN(10) == 0 {
		return string(text[:c.IntN(len(text))])
	}
	return string(text)
}

// 20,000 random requests: no failure, no panic, and nothing is left of them.
func TestRandomRequestsNeverFail(t *testing.T) {
	x := newTarget(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	c := chaos{rand.New(rand.NewPCG(seed, 0))}
	routes := admin.RouteList()
	heap := func() uint64 {
		_, err := x.b.DestroyAll(t.Context())
		require.NoError(t, err)
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	statuses := map[int]int{}
	var before uint64
	for i := range 20_000 {
		if i == 10_000 {
			before = heap()
		}
		if i%10 == 0 {
			x.renew(t)
		}
		rt := pick(c, routes...)
		app, id, method, query, header := "main", "ID", rt.Method, "", ""
		switch c.IntN(8) {
		case 0:
			app = pick(c, "other", "%00", "")
		case 1:
			id = pick(c, unknown, "x", "a/b")
		case 2:
			method = pick(c, get, post, put, patch, del, "OPTIONS", "x")
		case 3, 4:
			query = pick(c, "limit=1", "within=60", "limit=x", "cursor=x", "require=login", "activity=false", "%", "a=1&a=1")
		case 5, 6:
			header = pick(c, "If-Match:*", `If-Match:"7"`, "If-None-Match:*", "Cookie:sid=TOKEN", "Session-Token:TOKEN",
				"Content-Type:text/plain", "Content-Encoding:gzip", "Upgrade:websocket", "Origin:https://evil.example", "Authorization:Bearer x")
		}
		path := strings.NewReplacer("{app}", app, "{id}", id).Replace(rt.Pattern)
		statuses[x.send(t, method, path, query, c.body(t), header)]++
	}
	t.Log(statuses)
	for _, status := range []int{200, 201, 204, 304, 400, 401, 404, 405, 412, 415} {
		require.NotZero(t, statuses[status], status)
	}
	require.Less(t, int64(heap())-int64(before), int64(8<<20), "held after 10,000 requests")
}
