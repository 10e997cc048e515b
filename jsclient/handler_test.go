package jsclient_test

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/jsclient"
)

// get requests the module with headers, given as name and value by turns.
func get(t *testing.T, method, url string, header ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(method, url, http.NoBody)
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	jsclient.Handler().ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, res *http.Response) string {
	t.Helper()
	data, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return string(data)
}

func TestModuleIsServedAsAModule(t *testing.T) {
	res := get(t, "GET", "/bridge.js")
	require.Equal(t, http.StatusOK, res.StatusCode)
	require.Equal(t, read(t, "npm/bridge.js"), body(t, res))
	require.Equal(t, "text/javascript; charset=utf-8", res.Header.Get("Content-Type"))
	require.Equal(t, "nosniff", res.Header.Get("X-Content-Type-Options"))
	require.Equal(t, "Accept-Encoding", res.Header.Get("Vary"))
	require.Empty(t, res.Header["Set-Cookie"])

	res = get(t, "HEAD", "/bridge.js")
	require.Equal(t, http.StatusOK, res.StatusCode)
	require.Empty(t, body(t, res))
	for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS"} {
		res = get(t, method, "/bridge.js")
		require.Equal(t, http.StatusMethodNotAllowed, res.StatusCode, method)
		require.Equal(t, "GET, HEAD", res.Header.Get("Allow"))
	}
}

func TestModuleIsCompressedForThoseWhoAcceptIt(t *testing.T) {
	for accept, compressed := range map[string]bool{
		"gzip": true, "br, GZIP": true, "gzip;q=0.5, br": true, "gzip; q=1": true, "deflate,gzip ;q=0.001": true,
		"": false, "br": false, "gzip;q=0": false, "gzip; q=0.000": false, "gzip;q=x": false, "x-gzip": false, "*": false,
	} {
		res := get(t, "GET", "/bridge.js", "Accept-Encoding", accept)
		require.Equal(t, compressed, res.Header.Get("Content-Encoding") == "gzip", accept)
		content := body(t, res)
		if compressed {
			require.Less(t, len(content), 4096)
			r, err := gzip.NewReader(strings.NewReader(content))
			require.NoError(t, err)
			data, err := io.ReadAll(r)
			require.NoError(t, err)
			content = string(data)
		}
		require.Equal(t, read(t, "npm/bridge.js"), content)
	}
}

func TestModuleIsRevalidatedAndVersioned(t *testing.T) {
	plain, zipped := get(t, "GET", "/bridge.js"), get(t, "GET", "/bridge.js", "Accept-Encoding", "gzip")
	require.NotEqual(t, plain.Header.Get("ETag"), zipped.Header.Get("ETag"), "they are two representations")
	require.Equal(t, "public, no-cache", plain.Header.Get("Cache-Control"))
	for _, first := range []*http.Response{plain, zipped} {
		res := get(t, "GET", "/bridge.js", "Accept-Encoding", first.Header.Get("Content-Encoding"), "If-None-Match", first.Header.Get("ETag"))
		require.Equal(t, http.StatusNotModified, res.StatusCode)
		require.Empty(t, body(t, res))
	}
	require.Equal(t, http.StatusOK, get(t, "GET", "/bridge.js", "If-None-Match", `"other"`).StatusCode)

	for url, cache := range map[string]string{
		"/bridge.js?v=" + jsclient.Version():       "public, max-age=31536000, immutable",
		"/bridge.js?v=" + jsclient.Version() + "0": "public, no-cache",
		"/bridge.js?v=": "public, no-cache",
		"/bridge.js?v=" + jsclient.Version() + "&x=1": "public, no-cache",
	} {
		require.Equal(t, cache, get(t, "GET", url).Header.Get("Cache-Control"), url)
	}
}
