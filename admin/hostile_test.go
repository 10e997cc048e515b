package admin_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
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

// withBody are the routes that read a body.
func withBody() (list []admin.RouteInfo) {
	for _, rt := range admin.RouteList() {
		if rt.Method != get {
			list = append(list, rt)
		}
	}
	return list
}

// The fault of rest-sessions: 500 for bad input.
func TestRESTFault_BadInputIs400(t *testing.T) {
	b, c := newMain(t, nil)
	id, _ := c.create(object{"user": "ada", "data": object{"a": 1}})
	before, err := b.Info(t.Context(), id)
	require.NoError(t, err)
	nested := func(n int) string { return strings.Repeat(`{"data":`, n) + "1" + strings.Repeat("}", n) }
	for _, rt := range withBody() {
		path := strings.NewReplacer("{app}", "main", "{id}", id).Replace(rt.Pattern)
		for _, bad := range []string{
			`{`, `[]`, `null`, `1`, `"x"`, `nonsense`, `{} {}`, `{}]`, `{"user":"a","user":"b"}`, `{"data":{"a":1,"a":2}}`,
			"{\"user\":\"\xff\"}", `{"user":"\ud800"}`, `{"data":{"n":1e999}}`, `{"user":"a",}`, nested(65), nested(5000),
			`{"__proto__":1,"constructor":2,"__proto__":3}`, "\x00", "\ufeff{}",
		} {
			a := c.do(rt.Method, path, bad)
			require.Equal(t, http.StatusBadRequest, a.Status, "%s %s %.40q: %s", rt.Method, path, bad, a.Body)
		}
		if rt.Action != "replaceData" && rt.Action != "patchData" {
			a := c.do(rt.Method, path, `{"no such field":1}`)
			require.Equal(t, http.StatusBadRequest, a.Status, "%s: %s", rt.Action, a.Body)
		}
		c.refused("x", rt.Method, path+"?x=1", nil)
		for _, media := range []string{
			"", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x",
			"application/json; charset=latin1", "application/jsonx", "*/*", "application/json, text/plain",
		} {
			a := c.do(rt.Method, path, "{}", "Content-Type", media)
			require.Equal(t, http.StatusUnsupportedMediaType, a.Status, "%s %q", rt.Action, media)
			require.NotEmpty(t, a.Header.Get("Accept")+a.Header.Get("Accept-Patch"))
		}
		a := c.do(rt.Method, path, "{}", "Content-Encoding", "gzip")
		require.Equal(t, http.StatusUnsupportedMediaType, a.Status)
		a = c.do(rt.Method, path, `{"x":"`+strings.Repeat("x", 300_000)+`"}`)
		require.Equal(t, http.StatusRequestEntityTooLarge, a.Status)
	}
	after, err := b.Info(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, before, after, "nothing has changed")
}

func TestBodyOfUnknownLengthIsLimited(t *testing.T) {
	_, c := newMain(t, nil)
	var zip bytes.Buffer
	w := gzip.NewWriter(&zip)
	_, _ = w.Write(make([]byte, 1<<20))
	require.NoError(t, w.Close())
	for body, want := range map[io.Reader]int{
		io.LimitReader(endless{}, 1<<30): http.StatusRequestEntityTooLarge,
		&zip:                             http.StatusBadRequest,
		failing{}:                        http.StatusBadRequest,
	} {
		r := httptest.NewRequestWithContext(t.Context(), post, "/v1/main/sessions", body)
		r.ContentLength = -1
		r.Header.Set("Authorization", "Bearer "+writer)
		r.Header.Set("Content-Type", "application/json")
		require.Equal(t, want, c.send(r).Status)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestTooLargeASessionIs413(t *testing.T) {
	_, c := newMain(t, &bridge.Options{MaxValueBytes: 1000})
	id, _ := c.create(nil)
	large := object{"a": strings.Repeat("x", 1000)}
	c.ok(http.StatusRequestEntityTooLarge, post, "sessions", object{"data": large})
	c.ok(http.StatusRequestEntityTooLarge, put, "sessions/"+id+"/data", large)
	c.ok(http.StatusRequestEntityTooLarge, patch, "sessions/"+id+"/data", large)
	c.ok(http.StatusOK, patch, "sessions/"+id+"/data", object{"a": "x"})
}

func TestFieldsOfANewSession(t *testing.T) {
	_, c := newMain(t, nil)
	for field, bad := range map[string][]any{
		"user":      {"", 1, nil, "a\x00", strings.Repeat("a", 256), []string{"a"}},
		"client":    {"", "x", "0000000A-0000-4000-8000-000000000000", "{" + unknown + "}", nil},
		"data":      {nil, 1, []int{1}, "x"},
		"fixed":     {nil, "true", 1},
		"addr":      {"", "x", "192.0.2.1:80", 1},
		"userAgent": {1, nil},
		"User":      {"ada"},
		"id":        {unknown},
		"token":     {"x"},
	} {
		for _, v := range bad {
			c.refused(field, post, "sessions", object{field: v})
		}
	}
	c.create(object{"user": strings.Repeat("ä", 127), "userAgent": strings.Repeat("x", 5000), "addr": "fe80::1%eth0"})
}

func TestResourcesThatDoNotExist(t *testing.T) {
	_, c := newMain(t, nil)
	for _, path := range []string{
		"/", "/v1", "/v1/", "/v2/main/ping", "/v1/main", "/v1/main/", "/v1/main/ping/", "/v1//ping", "/v1/main//ping",
		"/v1/main/./ping", "/v1/main/../main/ping", "/v1/main/%2e%2e/ping", "/v1/main%2fping", "/v1/main/nothing",
		"/v1/other/ping", "/v1/Main/ping", "/v1/%00/ping", "/v1/" + strings.Repeat("a", 5000) + "/ping", "/v1/main/sessions/" + unknown + "/nothing",
	} {
		r := httptest.NewRequestWithContext(t.Context(), get, path, nil)
		r.Header.Set("Authorization", "Bearer "+writer)
		a := c.send(r)
		require.Equal(t, http.StatusNotFound, a.Status, "%.60s", path)
	}
	for _, method := range []string{"OPTIONS", "PUT", "TRACE", "DELETE", "FOO", "post"} {
		a := c.ok(http.StatusMethodNotAllowed, method, "sessions", nil)
		require.Equal(t, "GET, HEAD, POST", a.Header.Get("Allow"), method)
	}
	require.Equal(t, "POST", c.ok(http.StatusMethodNotAllowed, get, "notify", nil).Header.Get("Allow"))
	r := httptest.NewRequestWithContext(t.Context(), "CONNECT", "/", nil)
	r.Header.Set("Authorization", "Bearer "+writer)
	require.Equal(t, http.StatusNotFound, c.send(r).Status)
}

// The API may be mounted below a path, inside of the application's middleware.
func TestAPIWithinTheApplication(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), nil)
	inner := newClient(t, a.Bridge, nil)
	a.Mux.Handle("/admin/", http.StripPrefix("/admin", inner.h))
	site := a.Serve(t)
	call := func(method, path, body string) (int, http.Header, string) {
		r, err := http.NewRequestWithContext(t.Context(), method, site.URL+"/admin/v1/main/"+path, strings.NewReader(body))
		require.NoError(t, err)
		r.Header.Set("Authorization", "Bearer "+writer)
		r.Header.Set("Content-Type", "application/json")
		res, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		return res.StatusCode, res.Header, string(text)
	}
	defer http.DefaultClient.CloseIdleConnections()
	status, header, body := call(post, "sessions", `{"user":"ada"}`)
	require.Equal(t, http.StatusCreated, status, body)
	require.Empty(t, header["Set-Cookie"], "the caller is no browser")
	token := answer{Body: body}.text("token")
	status, _, body = call(post, "sessions/resolve", fmt.Sprintf(`{"token":%q}`, token))
	require.Equal(t, http.StatusOK, status, body)
	status, header, body = call(post, "sessions/resolve", `{"cookie":"sid=x"}`)
	require.Equal(t, http.StatusNotFound, status, body)
	require.Empty(t, header["Set-Cookie"])
}

func TestApplicationsRefusalIs422(t *testing.T) {
	_, c := newMain(t, refusing())
	id, token := c.create(nil)
	for _, a := range []answer{
		c.do(post, "sessions", object{"data": object{"bad": 1}}),
		c.do(put, "sessions/"+id+"/data", object{"bad": 1}),
		c.do(patch, "sessions/"+id+"/data", object{"bad": 1}),
		c.do(post, "sessions/login", object{"token": token, "user": "refused"}),
	} {
		require.Equal(t, http.StatusUnprocessableEntity, a.Status, a.Body)
		require.NotContains(t, a.Body, "the application's own")
	}
}
