package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"

	"github.com/alexedwards/scs/v2"
	"github.com/alexedwards/scs/v2/memstore"
	"github.com/gorilla/sessions"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// site is a session library as a handler uses it.
type site struct {
	name  string
	wrap  func(http.Handler) http.Handler // its middleware
	get   func(r *http.Request, key string) (int, error)
	set   func(w http.ResponseWriter, r *http.Request, key string, v any) error
	close func() error
}

// signingKey is as long as all libraries here take it.
var signingKey = bytes.Repeat([]byte("k"), 64)

var errAbsent = errors.New("the session doesn't hold what was stored")

func newBridge() (*bridge.Bridge, *livestore.Store, error) {
	st := livestore.New()
	b, err := bridge.New(st, &bridge.Options{Keys: [][]byte{signingKey}})
	return b, st, err
}

func shutDown(b *bridge.Bridge) error { return b.Shutdown(context.Background()) }

func openOurs() (*site, *bridge.Bridge, error) {
	b, _, err := newBridge()
	if err != nil {
		return nil, nil, err
	}
	return &site{
		name: "ours",
		wrap: b.Handler,
		get: func(r *http.Request, key string) (int, error) {
			s, err := b.Session(r)
			if err != nil {
				return 0, err
			}
			v, ok := s.Get(key)
			n, isInt := v.(int64)
			if !ok || !isInt {
				return 0, errAbsent
			}
			return int(n), nil
		},
		set: func(_ http.ResponseWriter, r *http.Request, key string, v any) error {
			s, err := b.Session(r)
			if err == nil {
				s.Set(key, v)
			}
			return err
		},
		close: func() error { return shutDown(b) },
	}, b, nil
}

func openSCS() (*site, error) {
	m := scs.New()
	st := memstore.NewWithCleanupInterval(0)
	m.Store = st
	return &site{
		name: "scs",
		wrap: m.LoadAndSave,
		get: func(r *http.Request, key string) (int, error) {
			if !m.Exists(r.Context(), key) {
				return 0, errAbsent
			}
			return m.GetInt(r.Context(), key), nil
		},
		set: func(_ http.ResponseWriter, r *http.Request, key string, v any) error {
			m.Put(r.Context(), key, v)
			return nil
		},
		close: func() error { return nil },
	}, nil
}

func openCookieStore() (*site, error) {
	return gorillaSite("CookieStore", sessions.NewCookieStore(signingKey), func() error { return nil }), nil
}

func openFilesystemStore() (*site, error) {
	dir, err := os.MkdirTemp("", "bench-sessions-")
	if err != nil {
		return nil, err
	}
	return gorillaSite(
		"FilesystemStore",
		sessions.NewFilesystemStore(dir, signingKey),
		func() error { return os.RemoveAll(dir) },
	), nil
}

func gorillaSite(name string, st sessions.Store, close func() error) *site {
	const cookie = "session"
	return &site{
		name: name,
		wrap: func(next http.Handler) http.Handler { return next },
		get: func(r *http.Request, key string) (int, error) {
			s, err := st.Get(r, cookie)
			if err != nil {
				return 0, err
			}
			n, ok := s.Values[key].(int)
			if !ok {
				return 0, errAbsent
			}
			return n, nil
		},
		set: func(w http.ResponseWriter, r *http.Request, key string, v any) error {
			s, err := st.Get(r, cookie)
			if err != nil {
				return err
			}
			s.Values[key] = v
			return s.Save(r, w)
		},
		close: close,
	}
}

// visitor is a browser that sends one request again and again.
type visitor struct {
	request *http.Request
	sent    http.Request // the copy that a handler may do to what it likes
	w       *recorder
	cookies map[string]string
}

func newVisitor() *visitor {
	r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://bench.test/", http.NoBody)
	if err != nil {
		panic(err) // the arguments are constants
	}
	r.RemoteAddr = "192.0.2.1:1234"
	r.Header.Set("User-Agent", "bench")
	return &visitor{request: r, w: newRecorder(), cookies: make(map[string]string)}
}

// visit sends the request to h.
func (v *visitor) visit(h http.Handler) error {
	v.w.reset()
	v.sent = *v.request
	h.ServeHTTP(v.w, &v.sent)
	if v.w.status != http.StatusOK {
		return fmt.Errorf("status %d", v.w.status)
	}
	return nil
}

// keep has the next requests carry the cookies of the last response.
func (v *visitor) keep() {
	set := http.Response{Header: v.w.header}
	for _, c := range set.Cookies() {
		v.cookies[c.Name] = c.Value
	}
	v.request.Header.Del("Cookie")
	for name, value := range v.cookies {
		v.request.AddCookie(&http.Cookie{Name: name, Value: value})
	}
}
