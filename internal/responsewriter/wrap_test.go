package responsewriter_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/responsewriter"
)

// gate notes what it is asked.
type gate struct {
	calls []string
	err   error
	conn  net.Conn
}

func (g *gate) Answering(status int) { g.calls = append(g.calls, http.StatusText(status)) }

func (g *gate) Begin() error {
	g.calls = append(g.calls, "begin")
	return g.err
}

func (g *gate) Err() error { return g.err }

func (g *gate) Hijacked(conn net.Conn) { g.conn = conn }

var errShut = errors.New("shut")

// ways are the ways in which a response can leave.
var ways = map[string]func(w http.ResponseWriter) error{
	"WriteHeader": func(w http.ResponseWriter) error { w.WriteHeader(http.StatusOK); return nil },
	"Write":       func(w http.ResponseWriter) error { _, err := w.Write([]byte("x")); return err },
	"WriteString": func(w http.ResponseWriter) error { _, err := io.WriteString(w, "x"); return err },
	"ReadFrom": func(w http.ResponseWriter) error {
		_, err := w.(io.ReaderFrom).ReadFrom(strings.NewReader("x"))
		return err
	},
	"Flush":                func(w http.ResponseWriter) error { w.(http.Flusher).Flush(); return nil },
	"FlushError":           func(w http.ResponseWriter) error { return w.(interface{ FlushError() error }).FlushError() },
	"a controller's Flush": func(w http.ResponseWriter) error { return http.NewResponseController(w).Flush() },
}

// serve lets handle write a response through net/http, behind the gate, and returns what came.
func serve(t *testing.T, handle func(w http.ResponseWriter)) (status int, body string) {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { handle(w) }))
	defer srv.Close()
	res, err := srv.Client().Get(srv.URL)
	require.NoError(t, err)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res.StatusCode, string(b)
}

func TestNothingLeavesBeforeBegin(t *testing.T) {
	for way, leave := range ways {
		t.Run(way, func(t *testing.T) {
			g := &gate{}
			serve(t, func(w http.ResponseWriter) {
				if err := leave(responsewriter.Wrap(w, g)); err != nil {
					t.Error(err)
				}
			})
			require.Contains(t, g.calls, "begin")
		})
	}
}

func TestNothingLeavesAfterBeginHasFailed(t *testing.T) {
	for way, leave := range ways {
		t.Run(way, func(t *testing.T) {
			g := &gate{err: errShut}
			status, body := serve(t, func(below http.ResponseWriter) {
				below.WriteHeader(http.StatusServiceUnavailable) // the gate's answer
				w := responsewriter.Wrap(below, g)
				if err := leave(w); way != "WriteHeader" && way != "Flush" && !errors.Is(err, errShut) {
					t.Error("the handler isn't told: ", err)
				}
				if _, err := w.Write([]byte("more")); !errors.Is(err, errShut) {
					t.Error(err)
				}
			})
			require.Equal(t, http.StatusServiceUnavailable, status)
			require.Empty(t, body)
		})
	}
}

func TestInformationalResponsesPass(t *testing.T) {
	for _, err := range []error{nil, errShut} {
		rec := httptest.NewRecorder()
		g := &gate{err: err}
		w := responsewriter.Wrap(rec, g)
		w.WriteHeader(http.StatusEarlyHints)
		require.Empty(t, g.calls)
		if err != nil {
			require.Equal(t, http.StatusOK, rec.Code, "nothing was written")
			continue
		}
		require.Equal(t, http.StatusEarlyHints, rec.Code)
	}
	g := &gate{}
	responsewriter.Wrap(httptest.NewRecorder(), g).WriteHeader(http.StatusSwitchingProtocols)
	require.Equal(t, []string{"Switching Protocols", "begin"}, g.calls, "an upgrade is no informational response")
}

func TestHijack(t *testing.T) {
	for _, err := range []error{nil, errShut} {
		g := &gate{err: err}
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			conn, _, e := responsewriter.Wrap(w, g).(http.Hijacker).Hijack()
			if !errors.Is(e, err) || (conn == nil) != (err != nil) || conn != g.conn {
				t.Error(conn, e)
			}
			if conn != nil {
				conn.Close()
			}
		}))
		res, _ := srv.Client().Get(srv.URL)
		if res != nil {
			res.Body.Close()
		}
		srv.Close()
		require.Equal(t, []string{"begin"}, g.calls)
	}
}

// The optional interfaces are those of the writer below.
func TestWrapKeepsOptionalInterfaces(t *testing.T) {
	for name, below := range writers {
		w := responsewriter.Wrap(below, &gate{})
		_, flushes := below.(http.Flusher)
		_, hijacks := below.(http.Hijacker)
		_, f := w.(http.Flusher)
		_, h := w.(http.Hijacker)
		require.Equal(t, flushes, f, name)
		require.Equal(t, hijacks, h, name)
	}
}

// optional are the interfaces of the writers of net/http.
var optional = map[string]func(w http.ResponseWriter) bool{
	"Flusher":      has[http.Flusher],
	"FlushError":   has[interface{ FlushError() error }],
	"Hijacker":     has[http.Hijacker],
	"ReaderFrom":   has[io.ReaderFrom],
	"StringWriter": has[io.StringWriter],
	"Pusher":       has[http.Pusher],
	"CloseNotify":  has[interface{ CloseNotify() <-chan bool }],
	"FullDuplex":   has[interface{ EnableFullDuplex() error }],
	"deadlines": has[interface {
		SetReadDeadline(deadline time.Time) error
		SetWriteDeadline(deadline time.Time) error
	}],
}

func has[I any](w http.ResponseWriter) bool {
	_, ok := w.(I)
	return ok
}

// TestWritersOfNetHTTP: both versions of HTTP are wrapped with their interfaces and without httpsnoop,
// whose wrappers take an allocation for each method.
func TestWritersOfNetHTTP(t *testing.T) {
	for _, version := range []int{1, 2} {
		srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.ProtoMajor != version {
				t.Error("HTTP/", r.ProtoMajor)
			}
			wrapped := responsewriter.Wrap(w, &gate{})
			for name, has := range optional {
				if has(w) != has(wrapped) {
					t.Errorf("HTTP/%d: %s", version, name)
				}
			}
			if allocs := testing.AllocsPerRun(10, func() { responsewriter.Wrap(w, nil) }); allocs > 1 {
				t.Errorf("HTTP/%d: %v allocations", version, allocs)
			}
			c := http.NewResponseController(wrapped)
			deadline := time.Now().Add(time.Hour)
			if err := errors.Join(c.SetReadDeadline(deadline), c.SetWriteDeadline(deadline), c.EnableFullDuplex()); err != nil {
				t.Error(err)
			}
			_ = wrapped.(interface{ CloseNotify() <-chan bool }).CloseNotify()
			wrapped.Header().Set("X-Wrapped", "yes")
			if p, pushes := wrapped.(http.Pusher); pushes {
				if err := p.Push("/x", nil); !errors.Is(err, http.ErrNotSupported) { // the client has switched it off
					t.Error(err)
				}
			}
		}))
		srv.EnableHTTP2 = version == 2
		srv.StartTLS()
		res, err := srv.Client().Get(srv.URL)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Equal(t, "yes", res.Header.Get("X-Wrapped"))
		srv.Close()
	}
}

// everything has more interfaces than a writer of net/http: it is wrapped with all of them.
type everything struct {
	http.ResponseWriter
	http.Flusher
	http.Hijacker
	io.ReaderFrom
	io.StringWriter
	http.Pusher
	others
}

type others interface {
	FlushError() error
	CloseNotify() <-chan bool
	EnableFullDuplex() error
	SetReadDeadline(deadline time.Time) error
	SetWriteDeadline(deadline time.Time) error
}

func TestAWriterWithEveryInterface(t *testing.T) {
	w := responsewriter.Wrap(everything{ResponseWriter: httptest.NewRecorder()}, &gate{})
	for name, has := range optional {
		require.True(t, has(w), name)
	}
}

func BenchmarkWrap(b *testing.B) {
	below, g := httptest.NewRecorder(), &gate{}
	p := []byte("x")
	b.ReportAllocs()
	for b.Loop() {
		w := responsewriter.Wrap(responsewriter.Expose(below), g)
		_, _ = w.Write(p)
		below.Body.Reset()
		g.calls = g.calls[:0]
	}
}
