package testsite

import (
	"bytes"
	"context"
	"embed"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit/await"
	"github.com/sessionbridge/sessionbridge/jsclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

//go:embed pages
var pages embed.FS

// Site is an application at a URL that stays the same when its server is restarted.
type Site struct {
	URL  string
	Kept *Kept // the messages of the path /kept

	opts    bridge.Options
	store   *livestore.Store
	proxy   *proxy
	running atomic.Pointer[running]
	release chan struct{}

	mu   sync.Mutex
	said []string
}

// Said returns the messages of clients that weren't requests.
func (s *Site) Said() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.said)
}

func (s *Site) heard(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.said = append(s.said, text)
}

// running is one life of the server.
type running struct {
	bridge *bridge.Bridge
	server *httptest.Server
}

// Start serves a site until the end of the test. Its sessions survive a restart.
func Start(t testing.TB, opts bridge.Options) *Site {
	t.Helper()
	opts.Keys = [][]byte{bytes.Repeat([]byte("k"), 32)}
	s := &Site{opts: opts, store: livestore.New(), Kept: newKept(), release: make(chan struct{})}
	s.proxy = newProxy(t)
	s.URL = "http://" + s.proxy.addr
	s.Resume(t)
	t.Cleanup(func() {
		s.proxy.cut()
		if s.running.Load() != nil {
			s.Stop(t)
		}
	})
	return s
}

// Bridge returns the Bridge of the server that runs.
func (s *Site) Bridge() *bridge.Bridge { return s.running.Load().bridge }

// Stop shuts the server down, as a deployment does: its connections are closed with CodeShutdown.
func (s *Site) Stop(t testing.TB) {
	t.Helper()
	now := s.running.Swap(nil)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), await.Limit)
	defer cancel()
	require.NoError(t, now.bridge.Shutdown(ctx))
	now.server.CloseClientConnections()
	now.server.Close()
}

// Resume starts the server after a Stop.
func (s *Site) Resume(t testing.TB) {
	t.Helper()
	b, err := bridge.New(s.store, &s.opts)
	require.NoError(t, err)
	now := &running{bridge: b, server: httptest.NewServer(s.handler(b))}
	s.running.Store(now)
	s.proxy.target(now.server.Listener.Addr().String())
}

// Cut cuts all connections to the site, and refuses new ones until Heal.
func (s *Site) Cut() { s.proxy.cut() }

// Heal ends a Cut.
func (s *Site) Heal(t testing.TB) { s.proxy.listen(t) }

func (s *Site) handler(b *bridge.Bridge) http.Handler {
	mux := http.NewServeMux()
	static, err := fs.Sub(pages, "pages")
	if err != nil {
		panic(err) // the folder is embedded
	}
	mux.Handle("GET /bridge.js", jsclient.Handler())
	mux.Handle("GET /", http.FileServerFS(static))
	mux.Handle("GET /ws", jsclient.Requests(b, s.answer, nil))
	mux.Handle("GET /kept", s.Kept.handler(b))
	mux.HandleFunc("GET /hold", func(_ http.ResponseWriter, r *http.Request) { // until a call of Release
		select {
		case <-s.release:
		case <-r.Context().Done():
		}
	})
	page := func(pattern string, do func(r *http.Request, s *bridge.Session) (string, error)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			session, err := b.Session(r)
			var text string
			if err == nil {
				text, err = do(r, session)
			}
			if err != nil {
				b.WriteError(w, r, err)
				return
			}
			fmt.Fprint(w, text)
		})
	}
	page("GET /session", func(_ *http.Request, session *bridge.Session) (string, error) {
		if session.IsNew() {
			session.Set("guest", true)
		}
		return session.UserID(), nil
	})
	page("POST /login", func(r *http.Request, session *bridge.Session) (string, error) {
		return "", session.Login(r.FormValue("user"))
	})
	page("POST /logout", func(_ *http.Request, session *bridge.Session) (string, error) {
		session.Logout()
		return "", nil
	})
	page("POST /ticket", func(r *http.Request, _ *bridge.Session) (string, error) { return b.Ticket(r) })
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; connect-src 'self'")
		b.Handler(mux).ServeHTTP(w, r)
	})
}
