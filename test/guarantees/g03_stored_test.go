package guarantees_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/teststore"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
)

// watched is a ResponseWriter that checks, with each write, whether the change is stored.
type watched struct {
	*httptest.ResponseRecorder
	stored func() bool
	early  []string // what left before
}

func (w *watched) check(what string) {
	if !w.stored() {
		w.early = append(w.early, what)
	}
}

func (w *watched) WriteHeader(code int) {
	if code >= 200 || code == 101 {
		w.check("header")
	}
	w.ResponseRecorder.WriteHeader(code)
}

func (w *watched) Write(p []byte) (int, error) { w.check("body"); return w.ResponseRecorder.Write(p) }

func (w *watched) Flush() { w.check("flush"); w.ResponseRecorder.Flush() }

func (w *watched) ReadFrom(r io.Reader) (int64, error) {
	w.check("readfrom")
	return io.Copy(w.ResponseRecorder, r)
}

func (w *watched) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	w.check("hijack")
	return nil, nil, errors.New("no connection here")
}

var firstBytes = map[string]func(w http.ResponseWriter){
	"WriteHeader":        func(w http.ResponseWriter) { w.WriteHeader(http.StatusTeapot) },
	"switching":          func(w http.ResponseWriter) { w.WriteHeader(http.StatusSwitchingProtocols) },
	"Write":              func(w http.ResponseWriter) { _, _ = w.Write([]byte("x")) },
	"WriteString":        func(w http.ResponseWriter) { _, _ = io.WriteString(w, "x") },
	"Flush":              func(w http.ResponseWriter) { w.(http.Flusher).Flush() },
	"FlushError":         func(w http.ResponseWriter) { _ = http.NewResponseController(w).Flush() },
	"ReadFrom":           func(w http.ResponseWriter) { _, _ = w.(io.ReaderFrom).ReadFrom(strings.NewReader("x")) },
	"Copy":               func(w http.ResponseWriter) { _, _ = io.Copy(w, strings.NewReader("x")) },
	"Hijack":             func(w http.ResponseWriter) { _, _, _ = w.(http.Hijacker).Hijack() },
	"return":             func(http.ResponseWriter) {},
	"early hints, Write": func(w http.ResponseWriter) { w.WriteHeader(http.StatusEarlyHints); _, _ = w.Write([]byte("x")) },
}

func TestG3_StoredBeforeSeen(t *testing.T) {
	for name, first := range firstBytes {
		t.Run(name, func(t *testing.T) {
			st := teststore.NewFaulty()
			b := testkit.NewBridge(t, st, nil)
			w := &watched{httptest.NewRecorder(), func() bool { return st.Count("Set") > 0 }, nil}
			b.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				s, err := b.Session(r)
				require.NoError(t, err)
				s.Set("k", "v")
				require.Zero(t, st.Count("Set"))
				first(w)
				require.True(t, name == "return" || st.Count("Set") == 1)
			})).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
			require.Equal(t, 1, st.Count("Set"))
			require.Empty(t, w.early, "left before the change was stored")
			require.NotEmpty(t, w.Header()["Set-Cookie"])
		})
	}
}

func TestG3_StoredBeforeSeen_FailureIs503(t *testing.T) {
	for name, first := range firstBytes {
		if name == "ReadFrom" || name == "Hijack" || name == "early hints, Write" { // a recorder can't: see the tests with real connections
			continue
		}
		t.Run(name, func(t *testing.T) {
			st := teststore.NewFaulty()
			b := testkit.NewBridge(t, st, nil)
			st.Always(teststore.Refuse(errors.New("disk full")), "Set")
			w := httptest.NewRecorder()
			b.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				s, err := b.Session(r)
				require.NoError(t, err)
				s.Set("k", "v")
				w.Header().Set("X-Secret", "of the handler's answer")
				first(w)
				_, _ = io.WriteString(w, "a 200 for a lost write")
			})).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
			require.Equal(t, http.StatusServiceUnavailable, w.Code)
			require.NotContains(t, w.Body.String(), "lost write")
			require.Empty(t, w.Header().Get("X-Secret"))
			for _, c := range w.Result().Cookies() {
				require.NotEqual(t, "sid", c.Name, "no cookie for a session that isn't stored")
			}
		})
	}
}

func TestG3_StoredBeforeSeen_LateFailureAbortsTheResponse(t *testing.T) {
	st := teststore.NewFaulty()
	a := testkit.NewApp(t, st, nil)
	a.Mux.HandleFunc("/late", func(w http.ResponseWriter, r *http.Request) {
		s, err := a.Session(r)
		require.NoError(t, err)
		w.Header().Set("Content-Length", "5")
		_, _ = io.WriteString(w, "early")
		st.Always(teststore.Refuse(errors.New("disk full")), "Set")
		s.Set("late", true)
	})
	br := webclient.NewBrowser(t, a.Serve(t))
	br.OK("/inc")
	_, err := br.Try(t.Context(), "/late")
	require.Error(t, err, "the client must not take the response for a whole one")
	st.Heal()
	require.Equal(t, "1", br.OK("/get"))
}

func TestG3_StoredBeforeSeen_WithinWithSession(t *testing.T) {
	st := teststore.NewFaulty()
	b := testkit.NewBridge(t, st, nil)
	w := &watched{httptest.NewRecorder(), func() bool { return st.Count("Set") > 0 }, nil}
	b.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, err := bridge.WithSession(r.Context(), b.For(r), testkit.Increment, nil)
		require.NoError(t, err)
		_, _ = io.WriteString(w, "x")
	})).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	require.Empty(t, w.early)
	require.Len(t, w.Result().Cookies(), 2, "the session cookie and the client cookie")
}
