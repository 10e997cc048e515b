package admin_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/admin"
	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/programs"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// backend starts testdata/backend.js, and returns its address.
func backend(t *testing.T) string {
	t.Helper()
	lines := programs.Node(t, "testdata/backend.js")
	require.True(t, lines.Scan())
	return "127.0.0.1:" + lines.Text()
}

// documented returns a configuration in docs/forward-auth.md.
func documented(t *testing.T, language string) string {
	t.Helper()
	text, err := os.ReadFile("../docs/forward-auth.md")
	require.NoError(t, err)
	found := regexp.MustCompile("(?s)```" + language + "\n(.*?)```").FindSubmatch(text)
	require.NotNil(t, found)
	return string(found[1])
}

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	return l.Addr().String()
}

// startProxy runs a proxy until the test ends, and waits until it accepts connections.
func startProxy(t *testing.T, addr string, cmd *exec.Cmd) {
	t.Helper()
	log := filepath.Join(t.TempDir(), "log")
	file, err := os.Create(log)
	require.NoError(t, err)
	cmd.Stdout, cmd.Stderr = file, file
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	require.NoError(t, cmd.Start())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = cmd.Wait() }() // ends with the program
	t.Cleanup(func() {
		_ = cmd.Cancel()
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
			_ = cmd.Process.Kill()
			<-ended
		}
		_ = file.Close()
	})
	require.Eventually(t, func() bool {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	}, time.Minute, 20*time.Millisecond, "%s doesn't start", cmd.Path)
}

// behind is an application in Go, its API and a backend in node behind a proxy.
type behind struct {
	*testkit.App
	site            *webclient.Site // of the proxy
	api, app, nodes string          // addresses
}

func newBehind(t *testing.T) *behind {
	t.Helper()
	x := &behind{App: testkit.NewApp(t, livestore.New(), &bridge.Options{
		TrustedProxies: []string{"127.0.0.1"}, RenewEvery: time.Second,
	})}
	x.SessionPage("/name", func(s *bridge.Session) (any, error) { s.Set("name", "Ada Ω"); return "", nil })
	x.nodes = backend(t)
	serve := func(h http.Handler) string {
		srv := httptest.NewServer(h)
		t.Cleanup(srv.Close)
		return strings.TrimPrefix(srv.URL, "http://")
	}
	c := newClient(t, x.Bridge, &admin.Options{
		ForwardAuth: admin.ForwardAuth{Values: map[string]string{"X-Session-Name": "name"}},
	})
	x.api, x.app = serve(c.h), serve(x.Handler(x.Mux))
	return x
}

// visitor is what the backend knows of a visitor.
type visitor struct{ Session, User, Name, Key, Alike string }

func whoIs(t *testing.T, text string) (v visitor) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(text), &v), text)
	return v
}

// check checks that the backend knows a browser's session, and no more after the logout.
func (x *behind) check(t *testing.T, renews bool) {
	br := webclient.NewBrowser(t, x.site)
	require.Equal(t, http.StatusUnauthorized, br.Get("/shop").Status, "no session")
	forged := []string{
		"X-Session-User", "root", "X-Session-Id", unknown, "X-Session-Name", "root",
		"X_Session_User", "root", "X.Session.User", "root", "X-Session_User", "root",
	}
	require.Equal(t, http.StatusUnauthorized, br.Get("/shop", forged...).Status)
	br.OK("/go/login?user=ada%20%CE%A9")
	br.OK("/go/name")
	id := br.OK("/go/id")
	want := visitor{Session: id, User: "ada Ω", Name: "Ada Ω"}
	rep := br.Get("/shop", append(forged, "X-Api-Key", "mine")...)
	require.Equal(t, http.StatusOK, rep.Status, rep.Body)
	want.Key = "mine" // the client's, not the proxy's
	require.Equal(t, want, whoIs(t, rep.Body))
	want.Key = ""
	if before := br.Cookie("sid"); renews { // every second, by way of the backend
		for br.Cookie("sid") == before {
			require.Equal(t, want, whoIs(t, br.OK("/shop")))
		}
		require.Equal(t, want, whoIs(t, br.OK("/shop")))
	}
	ws := br.Dial("/socket")
	text, err := ws.TryHear()
	require.NoError(t, err)
	require.Equal(t, want, whoIs(t, text))
	_, res, err := br.TryDial("/socket", http.Header{"Origin": {"https://evil.example"}})
	require.Error(t, err)
	require.Equal(t, http.StatusForbidden, res.StatusCode)

	guest := webclient.NewBrowser(t, x.site)
	guest.OK("/go/inc")
	require.Empty(t, whoIs(t, guest.Get("/shop", forged...).Body).User, "a header of the client's")

	other := webclient.NewBrowser(t, x.site)
	other.OK("/go/login?user=ada%20%CE%A9")
	br.OK("/go/logout")
	require.Equal(t, http.StatusUnauthorized, br.Get("/shop").Status)
	_, res, err = br.TryDial("/socket", nil)
	require.Error(t, err)
	require.Equal(t, http.StatusUnauthorized, res.StatusCode)
	require.Equal(t, http.StatusOK, other.Get("/shop").Status)
	_, err = x.DestroyUser(context.WithoutCancel(t.Context()), "ada Ω")
	require.NoError(t, err)
	require.Equal(t, http.StatusUnauthorized, other.Get("/shop").Status)
}

// A backend in node behind nginx gets session and user of a browser that has logged in through Go,
// and loses them at the logout, with the configuration of docs/forward-auth.md.
func TestForwardAuthBehindNginx(t *testing.T) {
	nginx := programs.Find(t, "nginx")
	x := newBehind(t)
	addr, dir := freeAddr(t), t.TempDir()
	x.site = &webclient.Site{URL: "http://" + addr, Dial: (&net.Dialer{}).DialContext}
	config := strings.NewReplacer(
		"listen 80;", "listen "+addr+";", "127.0.0.1:7070", x.api, "127.0.0.1:3000", x.nodes,
		"127.0.0.1:8080", x.app, "SESSION_PROXY_KEY", prober,
	).Replace(documented(t, "nginx"))
	file := filepath.Join(dir, "nginx.conf")
	require.NoError(t, os.WriteFile(file, []byte(fmt.Sprintf(`
daemon off;
worker_processes 1;
pid %[1]s/pid;
error_log stderr;
events {}
http {
	access_log off;
	client_body_temp_path %[1]s/body;
	proxy_temp_path %[1]s/proxy;
	fastcgi_temp_path %[1]s/fastcgi;
	uwsgi_temp_path %[1]s/uwsgi;
	scgi_temp_path %[1]s/scgi;
	%[2]s
}`, dir, config)), 0o600))
	startProxy(t, addr, exec.CommandContext(t.Context(), nginx, "-p", dir, "-c", file, "-e", "stderr"))
	x.check(t, true)
}

// Likewise behind Caddy, which doesn't bring a renewed cookie to the browser.
func TestForwardAuthBehindCaddy(t *testing.T) {
	caddy := programs.Find(t, "caddy")
	x := newBehind(t)
	addr, dir := freeAddr(t), t.TempDir()
	x.site = &webclient.Site{URL: "http://" + addr, Dial: (&net.Dialer{}).DialContext}
	config := strings.NewReplacer(
		"app.example.com {", "http://"+addr+" {", "127.0.0.1:7070", x.api, "127.0.0.1:3000", x.nodes,
		"127.0.0.1:8080", x.app,
	).Replace(documented(t, "caddyfile"))
	file := filepath.Join(dir, "Caddyfile")
	require.NoError(t, os.WriteFile(file, []byte("{\n\tadmin off\n}\n"+config), 0o600))
	cmd := exec.CommandContext(t.Context(), caddy, "run", "--config", file, "--adapter", "caddyfile")
	cmd.Env = append(os.Environ(), "SESSION_PROXY_KEY="+prober, "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir, "HOME="+dir)
	startProxy(t, addr, cmd)
	x.check(t, false)
}
