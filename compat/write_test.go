package compat_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
)

// ways are all the ways in which the first byte of a response can leave.
var ways = []struct {
	name  string
	write func(w http.ResponseWriter, r *http.Request)
	code  int
	body  string
}{
	{"nothing", func(http.ResponseWriter, *http.Request) {}, 200, ""},
	{"WriteHeader", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusAccepted) }, 202, ""},
	{"no content", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }, 204, ""},
	{"not modified", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotModified) }, 304, ""},
	{"Write", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok")) }, 200, "ok"},
	{"Write of nothing", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(nil) }, 200, ""},
	{"WriteString", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }, 200, "ok"},
	{"io.Copy", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.Copy(w, strings.NewReader("ok")) }, 200, "ok"},
	{"io.Copy of a plain reader", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.Copy(w, struct{ io.Reader }{strings.NewReader("ok")})
	}, 200, "ok"},
	{"ReadFrom", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.(io.ReaderFrom).ReadFrom(strings.NewReader("ok"))
	}, 200, "ok"},
	{"Flush", func(w http.ResponseWriter, _ *http.Request) { w.(http.Flusher).Flush() }, 200, ""},
	{"ResponseController.Flush", func(w http.ResponseWriter, _ *http.Request) { _ = http.NewResponseController(w).Flush() }, 200, ""},
	{"Redirect", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain") // else there is a body
		http.Redirect(w, r, "/elsewhere", http.StatusSeeOther)
	}, 303, ""},
	{"Error", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusTeapot) }, 418, "no\n"},
}

// eachWay runs a test with an application that sets a key and answers in one of the ways.
func eachWay(t *testing.T, method string, test func(t *testing.T, st *failingStore, br *browser, ask func() reply, code int, body string)) {
	for _, way := range ways {
		t.Run(method+" "+way.name, func(t *testing.T) {
			st := newStore()
			br := app(t, st, func(w http.ResponseWriter, r *http.Request, s *bridge.Session) {
				s.Set("way", way.name)
				way.write(w, r)
			})
			br.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
			body := way.body
			if method == http.MethodHead {
				body = ""
			}
			test(t, st, br, func() reply { return br.do(method, "/do", nil) }, way.code, body)
		})
	}
}

// bothMethods are those that a response is read of in different ways.
var bothMethods = []string{http.MethodGet, http.MethodHead}

func TestG3_StoredBeforeTheFirstByteWhicheverWayItLeaves(t *testing.T) {
	for _, method := range bothMethods {
		eachWay(t, method, func(t *testing.T, st *failingStore, br *browser, ask func() reply, code int, body string) {
			rep := ask()
			require.NoError(t, rep.err)
			require.Equal(t, code, rep.status)
			require.Equal(t, body, rep.body)
			require.Equal(t, []string{"sid", "sid.cid"}, setCookies(rep.header))
			require.Equal(t, 1, st.stored())
			require.NotEqual(t, "none", br.value("way"))
		})
	}
}

func TestG3_503WhicheverWayTheFirstByteWouldLeave(t *testing.T) {
	for _, method := range bothMethods {
		eachWay(t, method, func(t *testing.T, st *failingStore, _ *browser, ask func() reply, _ int, _ string) {
			st.breakDown()
			rep := ask()
			require.NoError(t, rep.err)
			require.Equal(t, http.StatusServiceUnavailable, rep.status)
			require.Equal(t, "no-store", rep.header.Get("Cache-Control"))
			require.NotContains(t, setCookies(rep.header), "sid")
			require.Empty(t, rep.header.Get("Location"))
			if method == http.MethodGet {
				require.Contains(t, rep.body, "could not be stored")
				require.NotContains(t, rep.body, "ok")
			}
		})
	}
}

// The handler goes on as if nothing had happened, however it writes: it gets the cause each time, and none of it reaches the client.
func TestG3_HandlerThatWritesOnAfterA503GetsTheCause(t *testing.T) {
	st := newStore()
	errs := make(chan error, 8)
	br := app(t, st, func(w http.ResponseWriter, _ *http.Request, s *bridge.Session) {
		defer close(errs)
		s.Set("k", 1)
		n, err := io.Copy(w, strings.NewReader("swallowed"))
		require.Zero(t, n)
		errs <- err
		w.Header().Set("X-Late", "1")
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusOK)
		_, err = io.WriteString(w, "swallowed")
		errs <- err
		errs <- http.NewResponseController(w).Flush()
		w.(http.Flusher).Flush()
		_, err = w.Write([]byte("swallowed"))
		errs <- err
		_, err = w.(io.ReaderFrom).ReadFrom(strings.NewReader("swallowed"))
		errs <- err
		_, _, err = w.(http.Hijacker).Hijack()
		errs <- err
	})
	st.breakDown()
	rep := br.get("/do")
	require.Equal(t, http.StatusServiceUnavailable, rep.status)
	require.NotContains(t, rep.body, "swallowed")
	require.Empty(t, rep.header.Get("X-Late"))
	count := 0
	for err := range errs {
		require.ErrorIs(t, err, bridge.ErrStoreUnavailable)
		count++
	}
	require.Equal(t, 6, count)
}

// What the handler had said of its own answer is not said of the error.
func TestG3_503DropsTheHandlersHeaders(t *testing.T) {
	st := newStore()
	br := app(t, st, func(w http.ResponseWriter, _ *http.Request, s *bridge.Session) {
		s.Set("k", 1)
		h := w.Header()
		h.Set("Content-Length", "100000")
		h.Set("Content-Encoding", "br")
		h.Set("Etag", `"x"`)
		h.Set("Cache-Control", "public, max-age=3600")
		h.Add("Set-Cookie", "theirs=1")
		_, _ = io.WriteString(w, strings.Repeat("x", 100000))
	})
	st.breakDown()
	rep := br.get("/do")
	require.Equal(t, http.StatusServiceUnavailable, rep.status)
	require.Contains(t, rep.body, "could not be stored")
	require.Equal(t, "no-store", rep.header.Get("Cache-Control"))
	require.Empty(t, rep.header.Get("Etag"))
	require.Empty(t, rep.header.Get("Content-Encoding"))
	require.NotContains(t, setCookies(rep.header), "theirs")
}

// Headers that change after they have left change nothing, as ever, and not the cookies either.
func TestHeadersChangedAfterTheyHaveLeft(t *testing.T) {
	br := app(t, newStore(), func(w http.ResponseWriter, _ *http.Request, s *bridge.Session) {
		s.Set("k", "v")
		w.WriteHeader(http.StatusOK)
		w.Header().Del("Set-Cookie")
		w.Header().Set("X-Late", "1")
		_, _ = io.WriteString(w, "ok")
	})
	rep := br.get("/do")
	require.Equal(t, []string{"sid", "sid.cid"}, setCookies(rep.header))
	require.Empty(t, rep.header.Get("X-Late"))
	require.Equal(t, "v", br.value("k"))
}
