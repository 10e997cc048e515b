package guarantees_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/await"
	"github.com/sessionbridge/sessionbridge/internal/testkit/teststore"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// TestG3_StreamWhoseFirstCommitFailsIsAnsweredAtOnce: the client has the error while the handler
// goes on.
func TestG3_StreamWhoseFirstCommitFailsIsAnsweredAtOnce(t *testing.T) {
	for name, write := range map[string]func(w http.ResponseWriter) error{
		"Fprint":      func(w http.ResponseWriter) error { _, err := fmt.Fprint(w, "data: 1\n\n"); return err },
		"WriteString": func(w http.ResponseWriter) error { _, err := io.WriteString(w, "data: 1\n\n"); return err },
		"ReadFrom": func(w http.ResponseWriter) error {
			_, err := w.(io.ReaderFrom).ReadFrom(strings.NewReader("data: 1\n\n"))
			return err
		},
		"Flush": func(w http.ResponseWriter) error {
			w.(http.Flusher).Flush()
			_, err := fmt.Fprint(w, "data: 1\n\n")
			return err
		},
		"FlushError": func(w http.ResponseWriter) error { return http.NewResponseController(w).Flush() },
		"Hijack":     func(w http.ResponseWriter) error { _, _, err := http.NewResponseController(w).Hijack(); return err },
		"WriteHeader": func(w http.ResponseWriter) error {
			w.WriteHeader(http.StatusOK)
			_, err := fmt.Fprint(w, "data: 1\n\n")
			return err
		},
	} {
		for cause, c := range map[string]struct {
			status int
			err    error
			fail   func(a *testkit.App, st *teststore.Faulty, s *bridge.Session, other webclient.Pocket)
		}{
			"an outage": {http.StatusServiceUnavailable, bridge.ErrStoreUnavailable, func(_ *testkit.App, st *teststore.Faulty, s *bridge.Session, _ webclient.Pocket) {
				st.Always(teststore.Refuse(errors.New("down")), "Set")
				s.Set("k", 1)
			}},
			"a login in another tab": {http.StatusConflict, bridge.ErrTokenRotated, func(a *testkit.App, _ *teststore.Faulty, s *bridge.Session, other webclient.Pocket) {
				_ = s.Rotate()
				r, _ := http.NewRequest(http.MethodGet, "/login?user=ada", nil)
				other.Send(a.Handler(a.Mux), r)
			}},
		} {
			t.Run(name+" "+cause, func(t *testing.T) {
				st := teststore.NewFaulty()
				a := testkit.NewApp(t, st, nil)
				other := webclient.Pocket{}
				first, last, release := make(chan error, 1), make(chan error, 1), make(chan struct{})
				a.Mux.HandleFunc("/stream", func(w http.ResponseWriter, r *http.Request) {
					s, err := a.Session(r)
					if err != nil {
						first <- err
						return
					}
					c.fail(a, st, s, other)
					w.Header().Set("Content-Type", "text/event-stream")
					first <- write(w)
					<-release // as a stream that ignores errors
					w.(http.Flusher).Flush()
					last <- write(w)
				})
				br := webclient.NewBrowser(t, a.Serve(t))
				br.OK("/inc")
				for _, name := range []string{"sid", "sid.cid"} {
					other[name] = br.Cookie(name)
				}
				rep := br.Get("/stream") // to the end of the body
				require.Equal(t, c.status, rep.Status)
				require.NotContains(t, rep.Body, "data:")
				require.NotEmpty(t, rep.Body)
				require.ErrorIs(t, await.Receive(t, first), c.err)
				st.Heal()
				require.Equal(t, "plain", br.OK("/plain"), "no other request waits for the handler")
				close(release)
				require.ErrorIs(t, await.Receive(t, last), c.err)
			})
		}
	}
}

// A handler that aborts the response after a failed write, as httputil.ReverseProxy does, doesn't
// abort the error answer.
func TestErrorIsWholeWhenTheHandlerAborts(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), nil)
	a.Mux.HandleFunc("/proxy", func(w http.ResponseWriter, r *http.Request) {
		s, err := a.Session(r)
		require.NoError(t, err)
		s.Set("k", func() {})
		if _, err := io.WriteString(w, "ok"); err != nil {
			panic(http.ErrAbortHandler)
		}
	})
	a.Mux.HandleFunc("/panic", func(w http.ResponseWriter, r *http.Request) {
		s, err := a.Session(r)
		require.NoError(t, err)
		s.Set("k", func() {})
		_, _ = io.WriteString(w, "ok")
		panic(testkit.Panics{})
	})
	h := a.Handler(a.Mux)
	var rep int
	require.NotPanics(t, func() { rep = webclient.Pocket{}.Get(t, h, "/proxy").Code })
	require.Equal(t, http.StatusInternalServerError, rep)
	require.PanicsWithValue(t, testkit.Panics{}, func() { webclient.Pocket{}.Get(t, h, "/panic") }, "others are net/http's to report")
}

// TestConnOfAClientThatHangsUpDuringTheUpgrade: the handler runs, and the connection ends with the
// code -1, as if the client had hung up later.
func TestConnOfAClientThatHangsUpDuringTheUpgrade(t *testing.T) {
	for name, attach := range map[string]bool{"WebSocket": false, "Attach": true} {
		t.Run(name, func(t *testing.T) {
			a := testkit.NewApp(t, livestore.New(), nil)
			closes := testkit.Record[bridge.ConnClose](t, a.Bridge)
			ran := make(chan error, 1)
			ended, goAway := context.WithCancel(context.WithoutCancel(t.Context()))
			a.Mux.Handle("/socket", a.WebSocket(func(ctx context.Context, c *bridge.Conn) error {
				ran <- ctx.Err()
				_, _, err := c.Read(ctx)
				return err
			}, nil))
			a.Mux.HandleFunc("/attach", func(w http.ResponseWriter, r *http.Request) {
				conn, _, err := http.NewResponseController(w).Hijack()
				if err != nil {
					ran <- err
					return
				}
				defer conn.Close()
				link, err := a.Attach(r, func(int, string) {})
				if err == nil {
					link.Detach()
				}
				ran <- err
			})
			// net/http ends the request's context when it notices: here when the connection is
			// handed over.
			noticing := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				a.Handler(a.Mux).ServeHTTP(&hangsUp{w, goAway}, r.WithContext(ended))
			})
			plain, site := webclient.NewBrowser(t, a.Serve(t)), webclient.Serve(t, noticing)
			plain.OK("/inc")
			br := plain.At(site)
			if attach {
				_, err := br.Try(t.Context(), "/attach")
				require.Error(t, err, "the connection was hijacked")
				require.NoError(t, await.Receive(t, ran))
				return
			}
			ws := br.Dial("/socket")
			require.NoError(t, ws.Conn.CloseNow())
			require.NoError(t, await.Receive(t, ran), "the handler runs, and its context lives")
			require.Equal(t, -1, closes.Next().Code)
		})
	}
}

// hangsUp is the ResponseWriter of a client that has gone when its connection is handed over.
type hangsUp struct {
	http.ResponseWriter
	goAway func()
}

// Hijack implements http.Hijacker.
func (h *hangsUp) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	defer h.goAway()
	return http.NewResponseController(h.ResponseWriter).Hijack()
}
