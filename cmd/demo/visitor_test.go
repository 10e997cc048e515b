package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
)

// TestMain checks that no test leaves a goroutine behind. A process that a test has started with
// asProgram runs the demo itself.
func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// asProgram is an environment variable.
const asProgram = "RUN_THE_DEMO"

// serve runs the application for the test.
func serve(t *testing.T) (url string) {
	t.Helper()
	return serveOn(t, livestore.New())
}

// serveOn is serve with a store of the test.
func serveOn(t *testing.T, sessions store.Store) (url string) {
	t.Helper()
	a, err := newApp(sessions, bridge.Options{})
	require.NoError(t, err)
	srv := httptest.NewServer(a.handler())
	t.Cleanup(func() {
		srv.Close()
		require.NoError(t, a.shutdown(context.WithoutCancel(t.Context())))
	})
	return srv.URL
}

// visitor is a browser.
type visitor struct {
	url    string
	client *http.Client
}

func newVisitor(t *testing.T, url string) *visitor {
	t.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	v := &visitor{url: url, client: &http.Client{Jar: jar, Transport: &http.Transport{}}}
	t.Cleanup(v.client.CloseIdleConnections)
	return v
}

// reply is anything that a client may receive: an answer, a failure or a push.
type reply struct {
	OK        *bool
	Error     string
	ClientID  string
	SessionID string
	User      string
	Session   map[string]any
	ConnID    string
	Devices   []device
	Count     int

	Event  string
	Via    string
	Keys   []string
	Socket string
	Code   int
	Text   string
	From   string
}

func (r reply) counts() [3]any {
	return [3]any{r.Session["httpCount"], r.Session["wsCount"], r.Session["total"]}
}

// counts returns the expected result of reply.counts: JSON numbers are floats.
func counts(http, ws, total float64) [3]any { return [3]any{http, ws, total} }

// send sends a request and returns the status and the reply.
func (v *visitor) send(t *testing.T, method, path, body string, header ...string) (int, reply) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, v.url+path, strings.NewReader(body))
	require.NoError(t, err)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := v.client.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.Equal(t, "application/json", res.Header.Get("Content-Type"), "%s", data)
	return res.StatusCode, parse(t, data)
}

// get and post are send for requests that must succeed.
func (v *visitor) get(t *testing.T, path string) reply {
	t.Helper()
	return v.works(t, http.MethodGet, path, "")
}

func (v *visitor) post(t *testing.T, path, body string) reply {
	t.Helper()
	return v.works(t, http.MethodPost, path, body)
}

func (v *visitor) works(t *testing.T, method, path, body string) reply {
	t.Helper()
	status, r := v.send(t, method, path, body)
	require.Equal(t, http.StatusOK, status, r.Error)
	require.True(t, *r.OK)
	return r
}

func parse(t *testing.T, data []byte) (r reply) {
	t.Helper()
	require.NoError(t, json.Unmarshal(data, &r), "%s", data)
	require.True(t, (r.OK != nil) != (r.Event != ""), "an answer has ok, a push has event: %s", data)
	return r
}

// wire is a visitor's socket.
type wire struct {
	*websocket.Conn
	pushed []reply // received while waiting for an answer
}

func (v *visitor) dial(t *testing.T) *wire {
	t.Helper()
	ws, _, err := websocket.Dial(t.Context(), v.url+"/ws", &websocket.DialOptions{HTTPClient: v.client})
	require.NoError(t, err)
	t.Cleanup(func() { _ = ws.CloseNow() })
	ws.SetReadLimit(1 << 20)
	return &wire{Conn: ws}
}

// watch opens a socket that receives later events.
func (v *visitor) watch(t *testing.T) *wire {
	t.Helper()
	w := v.dial(t)
	require.True(t, *w.do(t, `{"do":"get"}`).OK)
	return w
}

// do sends a message and returns the answer.
func (w *wire) do(t *testing.T, message string) reply {
	t.Helper()
	require.NoError(t, w.Write(t.Context(), websocket.MessageText, []byte(message)))
	for {
		r := w.read(t)
		if r.OK != nil {
			return r
		}
		w.pushed = append(w.pushed, r)
	}
}

func (w *wire) read(t *testing.T) reply {
	t.Helper()
	_, data, err := w.Read(t.Context())
	require.NoError(t, err)
	return parse(t, data)
}

// until returns the first unread push for which the function returns true.
func (w *wire) until(t *testing.T, is func(reply) bool) reply {
	t.Helper()
	for {
		var r reply
		if len(w.pushed) > 0 {
			r, w.pushed = w.pushed[0], w.pushed[1:]
		} else {
			r = w.read(t)
		}
		if is(r) {
			return r
		}
	}
}

// totals is an argument for until: a session with that total.
func totals(n float64) func(reply) bool {
	return func(r reply) bool { return r.Event == "set" && r.Session["total"] == n }
}

// closed reads to the end and returns the close code.
func (w *wire) closed(t *testing.T) int {
	t.Helper()
	for {
		if _, _, err := w.Read(t.Context()); err != nil {
			return int(websocket.CloseStatus(err))
		}
	}
}
