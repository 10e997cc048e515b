package compat_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/store"
)

// patience is how long a test waits for what must happen: far longer than it takes on a loaded machine.
const patience = time.Minute

// newBridge returns a Bridge that is shut down when the test ends.
func newBridge(t *testing.T, st store.Store, opts *bridge.Options) *bridge.Bridge {
	t.Helper()
	b, err := bridge.New(st, opts)
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
		defer cancel()
		require.NoError(t, b.Shutdown(ctx))
	})
	return b
}

// serve starts a server on the loopback network and returns its address.
func serve(t *testing.T, h http.Handler) string {
	t.Helper()
	srv := httptest.NewUnstartedServer(h)
	srv.Config.ErrorLog = log.New(io.Discard, "", 0) // panics are part of the tests
	srv.Start()
	t.Cleanup(srv.Close)
	return srv.URL
}

// pages are the handlers that tests look at sessions with: /set?k=v sets keys, /get?key shows one, /login and /logout.
func pages(b *bridge.Bridge) *http.ServeMux {
	mux := http.NewServeMux()
	page := func(path string, do func(w http.ResponseWriter, r *http.Request, s *bridge.Session) error) {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			s, err := b.Session(r)
			if err == nil {
				err = do(w, r, s)
			}
			if err != nil {
				http.Error(w, err.Error(), bridge.HTTPStatus(err))
			}
		})
	}
	page("/set", func(_ http.ResponseWriter, r *http.Request, s *bridge.Session) error {
		for key, values := range r.URL.Query() {
			s.Set(key, values[0])
		}
		return nil
	})
	page("/get", func(w http.ResponseWriter, r *http.Request, s *bridge.Session) error {
		v, ok := s.Get(r.URL.RawQuery)
		if !ok {
			v = "none"
		}
		_, err := fmt.Fprint(w, v)
		return err
	})
	page("/login", func(_ http.ResponseWriter, _ *http.Request, s *bridge.Session) error { return s.Login("ada") })
	page("/logout", func(_ http.ResponseWriter, _ *http.Request, s *bridge.Session) error { s.Logout(); return nil })
	return mux
}

// browser is a client with a cookie jar.
type browser struct {
	t      *testing.T
	base   *url.URL
	client *http.Client
}

func newBrowser(t *testing.T, site string) *browser {
	t.Helper()
	return browserOver(t, site, &http.Transport{DisableCompression: true})
}

func browserOver(t *testing.T, site string, transport *http.Transport) *browser {
	t.Helper()
	base, err := url.Parse(site)
	require.NoError(t, err)
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	t.Cleanup(transport.CloseIdleConnections)
	return &browser{t, base, &http.Client{Jar: jar, Transport: transport, Timeout: patience}}
}

// reply is an answer that has been read to its end. err says that the end never came, or not even the beginning.
type reply struct {
	status int
	proto  string
	header http.Header
	body   string
	err    error
}

// do sends a request with header lines, each a name and a value in turn.
func (br *browser) do(method, path string, body io.Reader, header ...string) reply {
	br.t.Helper()
	r, err := http.NewRequestWithContext(br.t.Context(), method, br.base.String()+path, body)
	require.NoError(br.t, err)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	res, err := br.client.Do(r)
	if err != nil {
		return reply{err: err}
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	return reply{res.StatusCode, res.Proto, res.Header, string(data), err}
}

// get asks for a page that must come whole.
func (br *browser) get(path string, header ...string) reply {
	br.t.Helper()
	rep := br.do(http.MethodGet, path, nil, header...)
	require.NoError(br.t, rep.err, "GET %s", path)
	return rep
}

// ok asks for a page that must come with 200, and returns its body.
func (br *browser) ok(path string) string {
	br.t.Helper()
	rep := br.get(path)
	require.Equal(br.t, http.StatusOK, rep.status, "GET %s: %s", path, rep.body)
	return rep.body
}

// value returns what the session has for a key, as a later request sees it.
func (br *browser) value(key string) string {
	br.t.Helper()
	return br.ok("/get?" + key)
}

// broken asks for a page that must not come whole: whoever takes it for a success takes a lost write for one (G3).
func (br *browser) broken(path string) {
	br.t.Helper()
	rep := br.do(http.MethodGet, path, nil)
	require.Error(br.t, rep.err, "GET %s: a whole answer, %d: %s", path, rep.status, rep.body)
}

// cookie returns the value of a cookie in the jar, "" for none.
func (br *browser) cookie(name string) string {
	for _, c := range br.client.Jar.Cookies(br.base) {
		if c.Name == name {
			return c.Value
		}
	}
	return ""
}

// setCookies returns the names of the cookies that an answer sets.
func setCookies(h http.Header) []string {
	var names []string
	for _, line := range h.Values("Set-Cookie") {
		name, _, _ := strings.Cut(line, "=")
		names = append(names, name)
	}
	return names
}

// wait returns what comes out of a channel.
func wait[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		require.FailNow(t, "waited in vain")
		panic("unreachable")
	}
}
