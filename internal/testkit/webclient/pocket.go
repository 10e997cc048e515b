package webclient

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
)

// Pocket keeps the cookies of requests that a test passes to a handler directly, values by name.
type Pocket map[string]string

// Send passes a request with the pocket's cookies to the handler, and keeps the cookies that the
// response sets.
func (p Pocket) Send(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	for name, value := range p {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	p.keep(w)
	return w
}

func (p Pocket) keep(w *httptest.ResponseRecorder) {
	for _, c := range w.Result().Cookies() {
		if c.MaxAge < 0 {
			delete(p, c.Name)
		} else {
			p[c.Name] = c.Value
		}
	}
}

// Get sends a GET request.
func (p Pocket) Get(t testing.TB, h http.Handler, path string) *httptest.ResponseRecorder {
	t.Helper()
	return p.Send(h, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
}

// LookAt sends a GET request and discards the response's cookies. Goroutines that share a pocket
// may call it at the same time.
func (p Pocket) LookAt(t testing.TB, h http.Handler, path string) {
	maps.Clone(p).Send(h, Request(t, path))
}

// Header returns the session cookie and the client cookie as a header line.
func (p Pocket) Header() string { return "sid=" + p["sid"] + "; sid.cid=" + p["sid.cid"] }

// InFlight is a request whose response arrives when the test says so.
type InFlight struct {
	Done chan *httptest.ResponseRecorder
}

// Begin sends a GET request with a copy of the cookies in a synctest bubble, and returns when its
// handler blocks or has ended.
func (p Pocket) Begin(t testing.TB, h http.Handler, path string) InFlight {
	f := InFlight{make(chan *httptest.ResponseRecorder, 1)}
	mine := maps.Clone(p)
	go func() { f.Done <- mine.Get(t, h, path) }()
	synctest.Wait()
	return f
}

// Arrive waits for the response and keeps its cookies.
func (p Pocket) Arrive(f InFlight) *httptest.ResponseRecorder {
	w := <-f.Done
	p.keep(w)
	return w
}
