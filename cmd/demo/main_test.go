package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
)

// start runs the program until the test stops it, and returns its URL.
func start(t *testing.T, args ...string) (url string, stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	out, in := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := run(ctx, args, in, t.Output())
		_ = in.CloseWithError(io.EOF)
		ended <- err
	}()
	lines := bufio.NewScanner(out)
	for url == "" && lines.Scan() {
		if rest, ok := strings.CutPrefix(lines.Text(), "Listening on "); ok {
			url, _, _ = strings.Cut(rest, " ")
		}
	}
	drained := make(chan struct{})
	go func() { _, _ = io.Copy(io.Discard, out); close(drained) }()
	stop = func() error { cancel(); <-drained; return <-ended }
	if url == "" {
		require.FailNow(t, "it ended instead of listening", "%v", stop())
	}
	return url, stop
}

func TestRunServesAndShutsDown(t *testing.T) {
	url, stop := start(t, "-addr", "127.0.0.1:0", "-store", "live")
	v := newVisitor(t, url)
	v.post(t, "/api/increment", `{"by":1}`)
	ws := v.watch(t)
	code := make(chan int, 1)
	go func() { code <- ws.closed(t) }()
	require.NoError(t, stop())
	require.Equal(t, bridge.CodeShutdown, <-code)
}

func TestWrongArgumentsAreExplained(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	folder := t.TempDir()
	t.Chdir(folder)
	require.NoError(t, os.WriteFile("garbage", []byte("garbage"), 0o600))
	for name, c := range map[string]struct {
		args []string
		says string
	}{
		"unknown store":    {[]string{"-store", "redis"}, `-store "redis": use "file:PATH"`},
		"file without one": {[]string{"-store", "file:"}, `-store "file:": use "file:PATH"`},
		"damaged store":    {[]string{"-store", "file:garbage"}, "garbage is damaged"},
		"store in a file":  {[]string{"-store", "file:garbage/demo.db"}, "choose another file with -store file:PATH"},
		"unknown flag":     {[]string{"-nonsense"}, "not defined: -nonsense"},
		"no flag":          {[]string{"serve"}, `unexpected argument "serve"`},
		"port in use":      {[]string{"-addr", taken.Addr().String()}, "choose another address with -addr"},
		"no address":       {[]string{"-addr", "nowhere"}, "can't listen on nowhere"},
		"open admin API":   {[]string{"-store", "live", "-addr", "127.0.0.1:0", "-admin", ":7070"}, "would be open to everyone"},
		"admin port in use": {
			[]string{"-store", "live", "-addr", "127.0.0.1:0", "-admin", taken.Addr().String()},
			"choose another address with -admin",
		},
		"broken key file":    {[]string{"-keys", "garbage"}, "line 1 is not the base64"},
		"the same in memory": {[]string{"-store", "live", "-keys", "garbage"}, "line 1 is not the base64"},
	} {
		t.Run(name, func(t *testing.T) {
			require.ErrorContains(t, run(t.Context(), c.args, io.Discard, io.Discard), c.says)
		})
	}
	content, err := os.ReadFile("garbage")
	require.NoError(t, err)
	require.Equal(t, "garbage", string(content))
}

func TestURLIsOneToTypeIntoABrowser(t *testing.T) {
	for addr, want := range map[string]string{
		"127.0.0.1:3000": "http://127.0.0.1:3000",
		"[::1]:3000":     "http://[::1]:3000",
		"[::]:80":        "http://localhost:80",
		"0.0.0.0:80":     "http://localhost:80",
	} {
		tcp, err := net.ResolveTCPAddr("tcp", addr)
		require.NoError(t, err)
		require.Equal(t, want, urlOf(tcp))
	}
}

func TestPageMayRunItsOwnScriptOnly(t *testing.T) {
	v := newVisitor(t, serve(t))
	res, err := v.client.Get(v.url)
	require.NoError(t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, res.StatusCode)
	require.Equal(t, "text/html; charset=utf-8", res.Header.Get("Content-Type"))
	require.Equal(t, "nosniff", res.Header.Get("X-Content-Type-Options"))
	require.Empty(t, res.Header["Set-Cookie"], "it needs no cookie, and caches may keep it")

	policy := res.Header.Get("Content-Security-Policy")
	require.Contains(t, policy, "default-src 'none'")
	require.NotContains(t, policy, "unsafe")
	for _, element := range []string{"script", "style"} {
		require.Equal(t, 1, strings.Count(string(body), "<"+element), "one <%s>, without attributes", element)
		_, rest, found := strings.Cut(string(body), "<"+element+">")
		require.True(t, found)
		content, _, found := strings.Cut(rest, "</"+element+">")
		require.True(t, found)
		sum := sha256.Sum256([]byte(content))
		require.Regexp(t, element+"-src ('self' )?'sha256-"+regexp.QuoteMeta(base64.StdEncoding.EncodeToString(sum[:]))+"'", policy)
	}
	require.NotContains(t, string(body), " style=")
	require.NotContains(t, string(body), "innerHTML")
	require.NotRegexp(t, `\son[a-z]+="`, string(body))
}
