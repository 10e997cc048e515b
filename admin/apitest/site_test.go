package apitest_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/admin"
	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
)

// Secrets of keys.
const (
	writer  = "writer-abcdefghijklmnopqrstuvwxyz"
	reader  = "reader-abcdefghijklmnopqrstuvwxyz"
	prober  = "prober-abcdefghijklmnopqrstuvwxyz"
	limited = "limited-abcdefghijklmnopqrstuvwxyz"
)

const unknown = "00000000-0000-4000-8000-000000000000"

// object is a JSON object.
type object = map[string]any

// document returns the document as a validator and as JSON.
var document = sync.OnceValues(func() (validator.Validator, object) {
	text := served()
	doc, err := libopenapi.NewDocument(text)
	if err != nil {
		panic(err)
	}
	v, errs := validator.NewValidator(doc)
	if len(errs) > 0 {
		panic(errs[0])
	}
	var parsed object
	if err := json.Unmarshal(text, &parsed); err != nil {
		panic(err)
	}
	return v, parsed
})

// site is an API, and what it has answered.
type site struct {
	t   testing.TB
	b   *bridge.Bridge
	app *testkit.App
	h   http.Handler

	id, token string // of a session
	conn      string // of the operations on a connection
	seen      map[string]map[int]bool

	refusing atomic.Bool // whether the application refuses changes
	store    *failing
	cookies  string        // of a browser
	connect  func() string // opens its socket, and returns the ID of the connection
}

func newSite(t testing.TB, st store.Store, opts *bridge.Options, api admin.Options) *site {
	t.Helper()
	s := &site{t: t, seen: map[string]map[int]bool{}}
	if opts == nil {
		opts = &bridge.Options{}
	}
	opts.TrustedProxies = []string{"192.0.2.1"} // httptest's
	opts.BeforeCommit = func(context.Context, *bridge.Session) error {
		if s.refusing.Load() {
			return testkit.ErrApp
		}
		return nil
	}
	a := testkit.NewApp(t, st, opts)
	api.KeyRate, api.AddrRate = cmp.Or(api.KeyRate, admin.Off), cmp.Or(api.AddrRate, admin.Off)
	api.Apps = map[string]*bridge.Bridge{"other": testkit.NewBridge(t, st, nil)}
	api.Keys = []admin.Key{
		{Name: "writer", Secret: writer, Scope: admin.ScopeWrite},
		{Name: "reader", Secret: reader},
		{Name: "proxy", Secret: prober, Scope: admin.ScopeAuth},
		{Name: "limited", Secret: limited, Scope: admin.ScopeWrite, Apps: []string{"other"}},
	}
	h, err := admin.Handler(a.Bridge, &api)
	require.NoError(t, err)
	s.b, s.app, s.h = a.Bridge, a, h
	s.renew()
	return s
}

// renew makes the session of the next calls.
func (s *site) renew() {
	c, err := s.b.Create(s.t.Context(), bridge.NewSession{UserID: "ada", Data: object{"a": 1}})
	require.NoError(s.t, err)
	s.id, s.token = c.SessionID, c.Token
}

// served returns the document as the API serves it.
func served() []byte {
	b, err := bridge.New(livestore.New(), &bridge.Options{Keys: [][]byte{testkit.Key()}, AutoCleanup: bridge.Off})
	if err != nil {
		panic(err)
	}
	defer func() { _ = b.Shutdown(context.Background()) }()
	h, err := admin.Handler(b, nil)
	if err != nil {
		panic(err)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/v1/openapi.json", nil))
	return w.Body.Bytes()
}

// request is a call of an operation.
type request struct {
	op     *operation
	path   string
	body   string // "" for none
	header http.Header
	secret string
}

var nextAddr atomic.Int64

// context returns the request's context. A stream of events ends after its beginning.
func (q *request) context(t testing.TB) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	if q.op.id == "streamEvents" {
		cancel()
	}
	return ctx
}

func newRequest(t testing.TB, q *request) *http.Request {
	r := httptest.NewRequestWithContext(q.context(t), q.op.method, q.path, strings.NewReader(q.body))
	if q.body == "" {
		r = httptest.NewRequestWithContext(q.context(t), q.op.method, q.path, nil)
	}
	if q.secret == "" { // from another address each, because they are limited
		r.RemoteAddr = fmt.Sprintf("198.51.100.%d:1", nextAddr.Add(1)%250)
	} else {
		r.Header.Set("Authorization", "Bearer "+q.secret)
	}
	if q.body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	maps.Copy(r.Header, q.header)
	return r
}

// call sends a request of the operation, and checks the answer against the document. valid says
// whether the document has to accept the request as well.
func (s *site) call(q request, valid bool) (status int, body string) {
	s.t.Helper()
	v, _ := document()
	if valid {
		if ok, errs := v.ValidateHttpRequest(newRequest(s.t, &q)); !ok {
			require.Fail(s.t, "the document refuses a request", "%s %s %s: %v", q.op.method, q.path, q.body, errs)
		}
	}
	w := httptest.NewRecorder()
	s.h.ServeHTTP(w, newRequest(s.t, &q))
	res := w.Result()
	text, err := io.ReadAll(res.Body)
	require.NoError(s.t, err)
	res.Body = io.NopCloser(bytes.NewReader(text))
	require.Contains(s.t, q.op.statuses, res.StatusCode, "%s answers %s", q.op.id, text)
	if ok, errs := v.ValidateHttpResponse(newRequest(s.t, &q), res); !ok {
		require.Fail(s.t, "the document doesn't describe an answer", "%s: %d %s: %v", q.op.id, res.StatusCode, text, errs)
	}
	if want := q.op.media(res.StatusCode); want != "" {
		require.Contains(s.t, res.Header.Get("Content-Type"), want)
	} else {
		require.Empty(s.t, text)
	}
	for _, name := range q.op.headers(res.StatusCode) {
		if !strings.Contains(name, "Cookie") {
			require.Contains(s.t, res.Header, http.CanonicalHeaderKey(name), "%s %d", q.op.id, res.StatusCode)
		}
	}
	if s.seen[q.op.id] == nil {
		s.seen[q.op.id] = map[int]bool{}
	}
	s.seen[q.op.id][res.StatusCode] = true
	return res.StatusCode, string(text)
}

// operation is one of the document.
type operation struct {
	id, method, path string
	scope            string
	statuses         []int
	raw              object
}

func operations() (all []*operation) {
	_, doc := document()
	for path, item := range doc["paths"].(object) {
		for method, raw := range item.(object) {
			raw := raw.(object)
			op := &operation{id: raw["operationId"].(string), method: strings.ToUpper(method), path: path, raw: raw}
			op.scope, _ = raw["x-scope"].(string)
			for status := range raw["responses"].(object) {
				n, err := strconv.Atoi(status)
				if err != nil {
					panic(err)
				}
				op.statuses = append(op.statuses, n)
			}
			all = append(all, op)
		}
	}
	slices.SortFunc(all, func(a, b *operation) int { return strings.Compare(a.id, b.id) })
	return all
}

// resolve follows a $ref.
func resolve(v any) object {
	o, _ := v.(object)
	ref, ok := o["$ref"].(string)
	if !ok {
		return o
	}
	_, doc := document()
	var at any = doc
	for name := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
		at = at.(object)[name]
	}
	return resolve(at)
}

func (op *operation) response(status int) object {
	return resolve(op.raw["responses"].(object)[strconv.Itoa(status)])
}

// media returns the media type of a response, "" for none.
func (op *operation) media(status int) string {
	content, _ := op.response(status)["content"].(object)
	for media := range content {
		return media
	}
	return ""
}

func (op *operation) headers(status int) (names []string) {
	headers, _ := op.response(status)["headers"].(object)
	for name := range headers {
		names = append(names, name)
	}
	return names
}

// body returns the schema of the request's body, nil for none.
func (op *operation) body() object {
	content, _ := resolve(op.raw["requestBody"])["content"].(object)
	if content == nil {
		return nil
	}
	return resolve(content["application/json"].(object)["schema"])
}
