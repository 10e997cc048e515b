package main

import (
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/redistest"
)

// health sends the request of a load balancer.
func health(t *testing.T, url string) (status int, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/healthz", http.NoBody)
	require.NoError(t, err)
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	require.Empty(t, res.Cookies(), "a load balancer gets no cookies")
	text, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res.StatusCode, string(text)
}

func TestHealth(t *testing.T) {
	url := serve(t)
	newVisitor(t, url).dial(t).do(t, `{"do":"get"}`)
	status, body := health(t, url)
	require.Equal(t, http.StatusOK, status)
	require.JSONEq(t, `{"ok":true,"healthy":true,"conns":1}`, body)
}

// TestHealthWithoutRedis: the process reports that it can't serve, and keeps running.
func TestHealthWithoutRedis(t *testing.T) {
	t.Chdir(t.TempDir())
	redis := redistest.Start(t)
	url, stop := start(t, "-addr", "127.0.0.1:0", "-store", redis.URL())
	status, _ := health(t, url)
	require.Equal(t, http.StatusOK, status)
	redis.Kill()
	status, body := health(t, url)
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.JSONEq(t, `{"ok":false,"error":"the session store doesn't respond"}`, body)
	redis.Restart()
	require.Eventually(t, func() bool {
		status, _ := health(t, url)
		return status == http.StatusOK
	}, time.Minute, 20*time.Millisecond)
	require.NoError(t, stop())
}

// TestBehindAProxy: only the headers of trusted proxies are used.
func TestBehindAProxy(t *testing.T) {
	for _, c := range []struct {
		args []string
		name string
	}{
		{nil, "sid"},
		{[]string{"-proxy", "127.0.0.1"}, "__Host-sid"},
	} {
		url, stop := start(t, append([]string{"-addr", "127.0.0.1:0", "-store", "live"}, c.args...)...)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/api/session", http.NoBody)
		require.NoError(t, err)
		req.Header.Set("X-Forwarded-Proto", "https")
		res, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		var names []string
		for _, cookie := range res.Cookies() {
			names = append(names, cookie.Name)
			require.Equal(t, c.args != nil, cookie.Secure)
		}
		require.Contains(t, names, c.name)
		require.NoError(t, stop())
	}
}
