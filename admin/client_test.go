package admin_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/admin"
	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// Secrets of keys.
const (
	writer = "writer-abcdefghijklmnopqrstuvwxyz"
	reader = "reader-abcdefghijklmnopqrstuvwxyz"
	prober = "prober-abcdefghijklmnopqrstuvwxyz"
)

func keys() []admin.Key {
	return []admin.Key{
		{Name: "writer", Secret: writer, Scope: admin.ScopeWrite},
		{Name: "reader", Secret: reader},
		{Name: "proxy", Secret: prober, Scope: admin.ScopeAuth},
	}
}

// client calls the API with a key.
type client struct {
	t      testing.TB
	h      http.Handler
	secret string // "" for none
}

// answer is a response to a client.
type answer struct {
	Status int
	Header http.Header
	Body   string
}

// newClient returns a client with the writer's key of an API over b. Nil opts have the keys.
func newClient(t testing.TB, b *bridge.Bridge, opts *admin.Options) *client {
	t.Helper()
	if opts == nil {
		opts = &admin.Options{}
	}
	opts.Keys = append(opts.Keys, keys()...)
	h, err := admin.Handler(b, opts)
	require.NoError(t, err)
	return &client{t, h, writer}
}

// newMain returns a Bridge over a LiveStore, and a client of its API.
func newMain(t testing.TB, opts *bridge.Options) (*bridge.Bridge, *client) {
	t.Helper()
	b := testkit.NewBridge(t, livestore.New(), opts)
	return b, newClient(t, b, nil)
}

// as returns the client with another key.
func (c *client) as(secret string) *client { return &client{c.t, c.h, secret} }

// do calls a route of the app main. The body is a string, nil for none, or any value as JSON. Header
// lines are names and values in turn.
func (c *client) do(method, path string, body any, header ...string) answer {
	c.t.Helper()
	text, isText := body.(string)
	if body != nil && !isText {
		encoded, err := json.Marshal(body)
		require.NoError(c.t, err)
		text = string(encoded)
	}
	if !strings.HasPrefix(path, "/v1/") {
		path = "/v1/main/" + path
	}
	r := httptest.NewRequestWithContext(contextFor(c.t, path), method, path, strings.NewReader(text))
	if c.secret != "" {
		r.Header.Set("Authorization", "Bearer "+c.secret)
	}
	if text != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return c.send(r)
}

// page gets a page, which may be none of the API.
func (c *client) page(path string) answer {
	w := httptest.NewRecorder()
	c.h.ServeHTTP(w, httptest.NewRequestWithContext(c.t.Context(), get, path, nil))
	return answer{w.Code, w.Header(), w.Body.String()}
}

// contextFor returns the context of a request. A stream of events ends after its beginning.
func contextFor(t testing.TB, path string) context.Context {
	ctx := t.Context()
	if strings.Contains(path, "/events") {
		var cancel context.CancelFunc
		ctx, cancel = context.WithCancel(ctx)
		cancel()
	}
	return ctx
}

func (c *client) send(r *http.Request) answer {
	c.t.Helper()
	w := httptest.NewRecorder()
	c.h.ServeHTTP(w, r)
	a := answer{w.Code, w.Header(), w.Body.String()}
	if a.Status >= 400 {
		var p map[string]any
		require.Equal(c.t, "application/problem+json", a.Header.Get("Content-Type"))
		require.NoError(c.t, json.Unmarshal([]byte(a.Body), &p))
		require.EqualValues(c.t, a.Status, p["status"])
		require.NotEmpty(c.t, p["title"])
		require.NotEmpty(c.t, p["detail"])
	}
	require.Equal(c.t, "no-store", a.Header.Get("Cache-Control"))
	require.Equal(c.t, "nosniff", a.Header.Get("X-Content-Type-Options"))
	require.Empty(c.t, a.Header.Get("Access-Control-Allow-Origin"))
	return a
}

// ok is do, which must succeed with the status.
func (c *client) ok(status int, method, path string, body any, header ...string) answer {
	c.t.Helper()
	a := c.do(method, path, body, header...)
	require.Equal(c.t, status, a.Status, "%s %s: %s", method, path, a.Body)
	return a
}

// refused is do, which must be answered with 400 for the field.
func (c *client) refused(field, method, path string, body any, header ...string) {
	c.t.Helper()
	a := c.do(method, path, body, header...)
	require.Equal(c.t, http.StatusBadRequest, a.Status, "%s %s: %s", method, path, a.Body)
	require.Equal(c.t, field, a.get("field"), a.Body)
}

// get returns a member of the body: a name, or several with dots between.
func (a answer) get(path string) any {
	var v any
	decoder := json.NewDecoder(strings.NewReader(a.Body))
	decoder.UseNumber()
	if decoder.Decode(&v) != nil {
		return nil
	}
	for name := range strings.SplitSeq(path, ".") {
		object, _ := v.(map[string]any)
		v = object[name]
	}
	if n, ok := v.(json.Number); ok {
		return n.String()
	}
	if v == nil {
		return ""
	}
	return v
}

func (a answer) text(path string) string {
	s, _ := a.get(path).(string)
	return s
}

// create makes a session, and returns its ID and token.
func (c *client) create(body any) (id, token string) {
	c.t.Helper()
	a := c.ok(http.StatusCreated, http.MethodPost, "sessions", body)
	return a.text("session.id"), a.text("token")
}

// object is a JSON object.
type object = map[string]any

// newLog returns a logger and what it has logged.
func newLog() (*slog.Logger, *bytes.Buffer) {
	var log bytes.Buffer
	return slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})), &log
}
