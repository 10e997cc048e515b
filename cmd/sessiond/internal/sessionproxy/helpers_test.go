package sessionproxy_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/cmd/sessiond/internal/sessionproxy"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// proxied is a backend behind a Proxy.
type proxied struct {
	*testing.T
	b     *bridge.Bridge
	site  *webclient.Site
	mux   *http.ServeMux // of the backend
	asked atomic.Int64   // requests that the backend got
}

// newProxied returns a backend behind a Proxy with these options. /who answers with the headers of
// the request, /order/… changes the session, if it is trusted.
func newProxied(t *testing.T, opts sessionproxy.Options) *proxied {
	t.Helper()
	p := &proxied{T: t, mux: http.NewServeMux()}
	var err error
	p.b, err = bridge.New(livestore.New(), &bridge.Options{Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.asked.Add(1)
		p.mux.ServeHTTP(w, r)
	}))
	at, err := url.Parse(backend.URL)
	require.NoError(t, err)
	if opts.Backend != nil { // only its path counts
		at.Path = opts.Backend.Path
	}
	opts.Backend = at
	opts.Logger = slog.New(slog.DiscardHandler)
	proxy, err := sessionproxy.New(p.b, opts)
	require.NoError(t, err)
	p.site = webclient.Serve(t, proxy)
	t.Cleanup(func() {
		require.NoError(t, p.b.Shutdown(context.WithoutCancel(t.Context())))
		proxy.Close()
		backend.Close()
	})
	p.mux.HandleFunc("/who", func(w http.ResponseWriter, r *http.Request) { _ = json.NewEncoder(w).Encode(r.Header) })
	p.order("/login", "X-Session-Login", "ada%20%CE%A9")
	p.order("/logout", "X-Session-Logout", "1")
	p.order("/cart", "X-Session-Set", url.PathEscape(`{"cart":{"tea":1},"old":null,"name":"Ada 100%"}`))
	return p
}

// order adds a page that sends headers, names and values in turn, with the grant.
func (p *proxied) order(path string, headers ...string) {
	p.mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Session-Grant", r.Header.Get("X-Session-Grant"))
		for i := 0; i < len(headers); i += 2 {
			w.Header().Add(headers[i], headers[i+1])
		}
		_, _ = w.Write([]byte("done"))
	})
}

// headers returns what the backend gets of a request with these headers, names and values in turn.
func (p *proxied) headers(br *webclient.Browser, header ...string) (h http.Header) {
	p.Helper()
	rep := br.Get("/who", header...)
	require.Equal(p, http.StatusOK, rep.Status, rep.Body)
	require.NoError(p, json.Unmarshal([]byte(rep.Body), &h))
	return h
}

// session returns the browser's session as it is stored.
func (p *proxied) session(br *webclient.Browser) *bridge.Session {
	p.Helper()
	s, err := p.b.GetByID(p.Context(), p.headers(br).Get("X-Session-Id"))
	require.NoError(p, err)
	return s
}

// login logs a browser in at another server on the same host, as a login service does. "" is a
// guest.
func (p *proxied) login(br *webclient.Browser, user string) (id string) {
	p.Helper()
	service := webclient.Serve(p.T, p.b.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s, err := p.b.Session(r)
		if err == nil && user != "" {
			err = s.Login(user)
		}
		if err != nil {
			p.b.WriteError(w, r, err)
			return
		}
		s.Set("name", "Ada Ω")
		_, _ = w.Write([]byte(s.ID()))
	})))
	return br.At(service).OK("/")
}

// set returns a function that sets a value.
func set(key string, value any) func(context.Context, *bridge.Session) error {
	return func(_ context.Context, s *bridge.Session) error { s.Set(key, value); return nil }
}
