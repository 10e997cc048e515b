package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/bridgetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// open returns a browser with a session, and a socket that is registered.
func open(t *testing.T) (*bridgetest.Client, *bridgetest.ClientConn) {
	t.Helper()
	b := bridgetest.New(t, nil)
	client := bridgetest.NewClient(t, b, newApp(b))
	require.Equal(t, state{}, post(client, "/api/session", ""))
	ws := client.Dial("/ws", nil)
	require.Equal(t, `{"user":"","count":0}`, ask(ws, `"get"`))
	return client, ws
}

func post(client *bridgetest.Client, path, user string) (now state) {
	client.PostForm(path, url.Values{"user": {user}}).Expect(http.StatusOK).JSON(&now)
	return now
}

// ask sends a request over the socket and returns its answer. Messages in between are dropped.
func ask(ws *bridgetest.ClientConn, request string) string {
	ws.Write("\x1f1\n" + request)
	for {
		if answer, ok := strings.CutPrefix(ws.Read(), "\x1f1 200\n"); ok {
			return answer
		}
	}
}

// hear waits for a message. Others before it are of earlier changes.
func hear(ws *bridgetest.ClientConn, want string) {
	for ws.Read() != want {
	}
}

func TestOneCounterOverBothTransports(t *testing.T) {
	client, ws := open(t)
	require.Equal(t, state{Count: 1}, post(client, "/api/increment", ""))
	hear(ws, `{"user":"","count":1}`) // without having asked
	require.Equal(t, `{"user":"","count":2}`, ask(ws, `"increment"`))
	require.Equal(t, state{Count: 3}, post(client, "/api/increment", ""))

	require.Equal(t, state{User: "ada", Count: 3}, post(client, "/api/login", "ada"))
	ws.ExpectClose(bridge.CodeReconnect)
	ws = client.Dial("/ws", nil)
	require.Equal(t, `{"user":"ada","count":3}`, ask(ws, `"get"`))
	second := client.Dial("/ws", nil)
	require.Equal(t, `{"user":"","count":0}`, ask(ws, `"logout"`))
	ws.ExpectClose(bridge.CodeDestroyed)
	second.ExpectClose(bridge.CodeDestroyed)
	require.Equal(t, state{}, post(client, "/api/session", ""))
}

func TestWhatIsNotUnderstoodIsRefused(t *testing.T) {
	_, ws := open(t)
	for request, want := range map[string]string{`{}`: "not understood", `"fly"`: "use get, increment or logout"} {
		ws.Write("\x1f1\n" + request)
		hear(ws, "\x1f1 400\n"+want)
	}
}

func TestOtherSitesChangeNothingAndScriptsOfOthersDontRun(t *testing.T) {
	client, _ := open(t)
	r := client.NewRequest("POST", "/api/increment", http.NoBody)
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	client.Do(r).Expect(http.StatusForbidden)
	client.DialRefused("/ws", &websocket.DialOptions{HTTPHeader: http.Header{"Origin": {"https://evil.example"}}}).Expect(http.StatusForbidden)
	for path, kind := range map[string]string{
		"/": "text/html; charset=utf-8", "/app.js": "text/javascript; charset=utf-8", "/bridge.js": "text/javascript; charset=utf-8",
		"/style.css": "text/css; charset=utf-8", "/icon.svg": "image/svg+xml",
	} {
		res := client.Get(path).Expect(http.StatusOK)
		require.Equal(t, kind, res.Header.Get("Content-Type"))
		require.Contains(t, res.Header.Get("Content-Security-Policy"), "default-src 'none'; script-src 'self'")
		require.NotRegexp(t, `<script>|<style>|\sstyle=|\son[a-z]+="|innerHTML`, res.Body)
	}
}

func TestSessionsSurviveARestart(t *testing.T) {
	db := filepath.Join(t.TempDir(), "example.db")
	jar := []*http.Cookie{}
	for want := range 3 {
		ctx, cancel := context.WithCancel(t.Context())
		out, in := io.Pipe()
		ended := make(chan error, 1)
		go func() {
			err := run(ctx, []string{"-addr", "127.0.0.1:0", "-db", db}, in)
			_ = in.Close()
			ended <- err
		}()
		line, err := bufio.NewReader(out).ReadString('\n')
		require.NoError(t, err)
		base := strings.Fields(line)[2]
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/api/increment", http.NoBody)
		require.NoError(t, err)
		for _, cookie := range jar {
			r.AddCookie(cookie)
		}
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		res, err := client.Do(r)
		require.NoError(t, err)
		body, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.JSONEq(t, `{"user":"","count":`+string(rune('1'+want))+`}`, string(body))
		if want == 0 {
			jar = res.Cookies()
		}
		cancel()
		require.NoError(t, <-ended)
	}
}

func TestWrongArgumentsAreErrors(t *testing.T) {
	folder := t.TempDir()
	for _, args := range [][]string{
		{"-nonsense"},
		{"-db", filepath.Join(folder, "none", "example.db")},
		{"-db", filepath.Join(folder, "a.db"), "-addr", "nowhere"},
	} {
		require.Error(t, run(t.Context(), args, io.Discard), "%v", args)
	}
}

// It is to be read in ten minutes.
func TestExampleIsSmall(t *testing.T) {
	lines := func(pattern string) (n int) {
		files, err := filepath.Glob(pattern)
		require.NoError(t, err)
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			data, err := os.ReadFile(name)
			require.NoError(t, err)
			n += bytes.Count(data, []byte{'\n'})
		}
		return n
	}
	require.LessOrEqual(t, lines("*.go"), 250)
	require.LessOrEqual(t, lines("site/*"), 200)
}
