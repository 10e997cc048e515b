package apitest_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/admin"
	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/teststore"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
)

func TestDocumentIsValid(t *testing.T) {
	v, doc := document()
	ok, errs := v.ValidateDocument()
	require.True(t, ok, "%v", errs)
	require.Equal(t, "3.1.0", doc["openapi"])
	ids := map[string]bool{}
	for _, op := range operations() {
		require.False(t, ids[op.id], op.id)
		ids[op.id] = true
		require.NotEmpty(t, op.raw["summary"])
	}
}

// bodies are valid bodies of each operation that has one.
func (s *site) bodies(op *operation) []any {
	switch op.id {
	case "createSession":
		return []any{
			nil,
			object{},
			object{"user": "ada", "data": object{"a": []any{1, "x", nil}}, "ttl": 60, "lifetime": nil},
			object{"ttl": 60, "fixed": true, "client": unknown, "addr": "192.0.2.1", "userAgent": "x"},
		}
	case "searchSessions":
		return []any{nil, object{"user": "ada", "limit": 1}, object{"client": unknown, "activeWithin": 10.5}}
	case "resolveSession":
		return []any{object{"token": s.token}, object{"token": s.token, "activity": false}}
	case "login":
		return []any{object{"token": s.token, "user": "ada"}}
	case "rotate", "logout":
		return []any{object{"token": s.token}}
	case "destroyUser":
		return []any{object{"user": "bob"}, object{"user": "ada", "except": []string{s.id}}}
	case "sweepSessions":
		return []any{object{"olderThan": 3600}, object{"unusedFor": 3600, "olderThan": 1e6}}
	case "patchData", "replaceData":
		return []any{object{"a": 1, "b": object{"c": nil}}, object{}}
	case "setTTL":
		return []any{object{"idle": 60}, object{"lifetime": nil}}
	case "searchConns":
		return []any{nil, object{"user": "ada", "openFor": 0.001, "limit": 0}}
	case "closeConns":
		return []any{object{"user": "nobody"}, object{"openFor": 3600, "code": 4000, "reason": "x"}}
	case "closeConn":
		return []any{nil, object{"code": 1008}}
	case "notify":
		return []any{
			object{"to": object{"all": true}, "text": "x"},
			object{"to": object{"user": "ada", "except": "x"}, "json": nil},
			object{"to": object{"conns": []string{"a", "b"}}, "binary": "AAE="},
		}
	case "searchPresence":
		return []any{object{"users": []string{"ada", "bob"}}}
	}
	return []any{nil, object{}}
}

// paths returns the URLs of an operation, with valid queries.
func (s *site) paths(op *operation) []string {
	id := s.id
	if strings.Contains(op.path, "/conns/") {
		id = cmp.Or(s.conn, unknown)
	}
	path := strings.NewReplacer("{app}", "main", "{id}", id).Replace(op.path)
	switch op.id {
	case "listSessions":
		return []string{path, path + "?limit=1", path + "?activeWithin=60&limit=0"}
	case "listConns":
		return []string{path, path + "?limit=0"}
	case "getActivity":
		return []string{path + "?within=60"}
	case "authenticate":
		return []string{path, path + "?require=login&activity=false"}
	}
	return []string{path}
}

func text(t testing.TB, body any) string {
	t.Helper()
	if body == nil {
		return ""
	}
	encoded, err := json.Marshal(body)
	require.NoError(t, err)
	return string(encoded)
}

// first returns a valid request of the operation with the writer's key.
func (s *site) first(op *operation) request {
	q := request{op: op, path: s.paths(op)[0], secret: writer}
	if op.body() != nil {
		q.body = text(s.t, s.bodies(op)[0])
	}
	return q
}

// Each operation of the document answers as it describes, with each status that it names (but 500,
// the failure of a program): requests that the document accepts succeed, others are refused.
func TestEachOperationAnswersAsDescribed(t *testing.T) {
	st := &failing{Faulty: teststore.NewFaulty()}
	s := newSite(t, st, nil, admin.Options{})
	s.store = st
	br := webclient.NewBrowser(t, s.app.Serve(t))
	br.OK("/login?user=ada")
	s.cookies = "sid=" + br.Cookie("sid") + "; sid.cid=" + br.Cookie("sid.cid")
	s.connect = func() string {
		testkit.OpenConns(t, s.b, bridge.ConnFilter{}, 0)
		br.OK("/login?user=ada")
		br.Dial("/ws")
		return testkit.OpenConns(t, s.b, bridge.ConnFilter{}, 1)[0].ID
	}
	for _, op := range operations() {
		t.Run(op.id, func(t *testing.T) {
			s.t = t
			s.successes(op)
			s.refusals(op)
		})
	}
	s.t = t
	bare := newSite(t, bare{livestore.New()}, nil, admin.Options{})
	bare.seen = s.seen
	slow := newSite(t, livestore.New(), nil, admin.Options{KeyRate: 0.001, AddrRate: 0.001})
	slow.seen = s.seen
	for _, op := range operations() {
		if slices.Contains(op.statuses, http.StatusNotImplemented) {
			bare.expect(http.StatusNotImplemented, bare.first(op))
		}
		slow.tooMany(op)
		for _, status := range op.statuses {
			if status == http.StatusInternalServerError || status == http.StatusServiceUnavailable && onlyNodes[op.id] {
				continue
			}
			require.True(t, s.seen[op.id][status], "%s never answers %d", op.id, status)
		}
	}
}

// onlyNodes are the operations that need the store only to reach other nodes.
var onlyNodes = map[string]bool{
	"closeConn": true, "closeConns": true, "getConn": true, "listConns": true, "listNodes": true, "searchConns": true,
	"listPresence": true, "searchPresence": true, "notify": true,
}

// bare is a store without capabilities.
type bare struct{ store.Store }

// failing is a store whose lists fail as well.
type failing struct {
	*teststore.Faulty
	down atomic.Bool
}

func (f *failing) list(all iter.Seq2[store.Record, error]) iter.Seq2[store.Record, error] {
	if f.down.Load() {
		return func(yield func(store.Record, error) bool) { yield(store.Record{}, errDown) }
	}
	return all
}

func (f *failing) ActiveSince(ctx context.Context, since time.Time) iter.Seq2[store.Record, error] {
	return f.list(f.Faulty.ActiveSince(ctx, since))
}

func (f *failing) ByUser(ctx context.Context, userID string) iter.Seq2[store.Record, error] {
	return f.list(f.Faulty.ByUser(ctx, userID))
}

func (f *failing) ListActive(ctx context.Context, since, now time.Time) iter.Seq2[store.Active, error] {
	if f.down.Load() {
		return func(yield func(store.Active, error) bool) { yield(store.Active{}, errDown) }
	}
	return f.Faulty.ListActive(ctx, since, now)
}

// successes sends every valid request of the operation.
func (s *site) successes(op *operation) {
	t := s.t
	bodies := 1
	if op.body() != nil {
		bodies = len(s.bodies(op))
	}
	for i := range bodies {
		for j := range s.paths(op) {
			s.renew()
			if strings.Contains(op.path, "/conns/{id}") {
				if s.conn == "" || op.id == "closeConn" {
					s.conn = s.connect()
				}
			}
			q := request{op: op, path: s.paths(op)[j], secret: writer, header: http.Header{}}
			if op.body() != nil {
				q.body = text(t, s.bodies(op)[i])
			}
			if op.id == "authenticate" {
				q.header["Cookie"] = []string{s.cookies}
			}
			status, answer := s.call(q, true)
			require.Less(t, status, 300, answer)
			if op.id == "closeConn" {
				s.conn = ""
			}
		}
	}
	if s.conn != "" {
		_, err := s.b.CloseConns(t.Context(), bridge.ConnFilter{UserID: "ada"}, 1000, "")
		require.NoError(t, err)
		s.conn = ""
	}
}

// expect sends a request whose answer has the status.
func (s *site) expect(want int, q request) {
	s.t.Helper()
	status, answer := s.call(q, false)
	require.Equal(s.t, want, status, "%s: %s", q.op.id, answer)
}

// refusals provokes each status that the document has for refusals of the operation.
func (s *site) refusals(op *operation) {
	s.renew()
	expect := func(want int, edit func(q *request)) {
		s.t.Helper()
		q := s.first(op)
		edit(&q)
		s.expect(want, q)
	}
	header := func(name, value string) func(*request) {
		return func(q *request) { q.header = http.Header{name: {value}} }
	}
	for _, status := range op.statuses {
		switch status {
		case http.StatusBadRequest:
			expect(status, func(q *request) { q.path += sep(q.path) + "nonsense=1" })
		case http.StatusUnauthorized:
			expect(status, func(q *request) { q.secret = "" })
		case http.StatusForbidden:
			switch op.scope {
			case "write":
				expect(status, func(q *request) { q.secret = reader })
			case "read":
				expect(status, func(q *request) { q.secret = prober })
			default:
				expect(status, func(q *request) {
					q.header = http.Header{"Upgrade": {"websocket"}, "Origin": {"https://evil.example"}}
				})
			}
		case http.StatusNotFound:
			expect(status, func(q *request) { q.path = strings.Replace(q.path, "/main/", "/none/", 1) })
			expect(status, func(q *request) { q.secret = limited })
			if strings.Contains(op.path, "{id}") {
				expect(status, func(q *request) { q.path = strings.Replace(q.path, s.id, unknown, 1) })
			}
		case http.StatusNotModified:
			expect(status, header("If-None-Match", "*"))
		case http.StatusPreconditionFailed:
			expect(status, header("If-Match", `"0"`))
		case http.StatusRequestEntityTooLarge:
			expect(status, func(q *request) { q.body = `{"x":"` + strings.Repeat("x", 300_000) + `"}` })
		case http.StatusUnsupportedMediaType:
			expect(status, func(q *request) { q.body, q.header = "x", http.Header{"Content-Type": {"text/plain"}} })
		case http.StatusUnprocessableEntity:
			s.refusing.Store(true)
			expect(status, func(*request) {})
			s.refusing.Store(false)
		case http.StatusConflict:
			s.conflict(op)
		case http.StatusServiceUnavailable:
			s.unavailable(op)
		}
	}
}

// conflict provokes a 409.
func (s *site) conflict(op *operation) {
	q := s.first(op)
	switch op.id {
	case "replaceData", "patchData", "setTTL": // others change the session again and again
		s.store.Always(teststore.Refuse(store.ErrConflict), "Set")
	case "authenticate":
		c, err := s.b.LoginCredentials(s.t.Context(), bridge.Credentials{Token: s.token}, "ada")
		require.NoError(s.t, err)
		cookies := s.b.CookiesFor(bridge.Credentials{SessionID: c.SessionID, ClientID: c.ClientID, Token: s.token})
		require.NotEmpty(s.t, cookies)
		q.header = http.Header{"X-Forwarded-Proto": {"https"}}
		for _, cookie := range cookies {
			q.header.Add("Cookie", cookie.Name+"="+cookie.Value)
		}
	default: // a login has replaced the token
		_, err := s.b.LoginCredentials(s.t.Context(), bridge.Credentials{Token: s.token}, "bob")
		require.NoError(s.t, err)
	}
	s.expect(http.StatusConflict, q)
	s.store.Heal()
	s.renew()
}

var errDown = errors.New("down")

// unavailable provokes a 503.
func (s *site) unavailable(op *operation) {
	if onlyNodes[op.id] {
		return
	}
	q := s.first(op)
	if op.id == "authenticate" {
		q.header = http.Header{"Cookie": {s.cookies}}
	}
	s.store.Always(teststore.Refuse(errDown), "Get", "Set", "Destroy", "Touch", "Ping", "Sweep", "List")
	s.store.down.Store(true)
	defer s.store.down.Store(false)
	defer s.store.Heal()
	s.expect(http.StatusServiceUnavailable, q)
}

// tooMany provokes a 429.
func (s *site) tooMany(op *operation) {
	q := s.first(op)
	if op.id == "authenticate" { // only wrong keys are limited
		q.secret = "wrong"
	}
	for range 100 {
		if status, _ := s.call(q, false); status == http.StatusTooManyRequests {
			return
		}
	}
	require.Fail(s.t, "it is never limited", op.id)
}

func sep(path string) string {
	if strings.Contains(path, "?") {
		return "&"
	}
	return "?"
}

// candidates are values for fields whatever their type.
func candidates() []any {
	return []any{
		nil, true, false, 0, 1, -1, 1.5, 100, 1e12, "", "x", "ada", unknown, strings.Repeat("x", 256), "a\x00b",
		[]any{},
		[]any{1},
		[]any{"x"},
		[]any{nil},
		object{},
		object{"x": 1},
		object{"all": true},
		object{"user": "ada"},
	}
}

// The document and the API agree on which input is valid, field by field.
func TestDocumentAndAPIAgreeOnInput(t *testing.T) {
	s := newSite(t, livestore.New(), nil, admin.Options{})
	v, _ := document()
	agreed := 0
	for _, op := range operations() {
		schema := op.body()
		if schema == nil {
			continue
		}
		fields := []string{"nonsense"}
		if properties, ok := schema["properties"].(object); ok {
			fields = append(fields, slices.Sorted(maps.Keys(properties))...)
		}
		for _, field := range fields {
			for _, value := range candidates() {
				s.renew()
				body := object{}
				if base, ok := s.bodies(op)[len(s.bodies(op))-1].(object); ok {
					maps.Copy(body, base)
				}
				body[field] = value
				q := s.first(op)
				q.body = text(t, body)
				r := newRequest(t, &q)
				valid, _ := v.ValidateHttpRequest(r)
				status, answer := s.call(q, false)
				what := fmt.Sprintf("%s %s=%.40s: %d %s", op.id, field, text(t, value), status, answer)
				require.Less(t, status, 500, what)
				if status == http.StatusBadRequest {
					var p object
					require.NoError(t, json.Unmarshal([]byte(answer), &p))
					require.NotEmpty(t, p["field"], what)
				}
				switch {
				case !valid:
					require.Equal(t, http.StatusBadRequest, status, what)
				case status == http.StatusBadRequest: // rules that the document has in words only
					require.True(t, inWords(op.id, field, body), what)
				}
				agreed++
			}
		}
	}
	require.Greater(t, agreed, 500)
}

// inWords reports whether a field has rules that its schema doesn't express.
func inWords(op, field string, body object) bool {
	switch field {
	case "addr", "cursor", "user", "binary", "code", "reason", "name": // formats, NUL, sizes in bytes, gaps
		return true
	case "token", "cookie", "client", "plainHTTP": // exactly one credential
		return slices.Contains([]string{"resolveSession", "login", "rotate", "logout"}, op)
	case "ttl", "fixed", "lifetime":
		return op == "createSession" && body["fixed"] == true
	case "users", "to", "text", "json":
		return true
	}
	return false
}
