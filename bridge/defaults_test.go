package bridge_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
)

// TestNewSaysOnceThatNobodyRemovesExpiredSessions: with a store that can neither sweep nor list,
// unless the application has said that it knows.
func TestNewSaysOnceThatNobodyRemovesExpiredSessions(t *testing.T) {
	for name, c := range map[string]struct {
		st   store.Store
		opts bridge.Options
		want int
	}{
		"three methods":          {threeMethodStore{livestore.New()}, bridge.Options{}, 1},
		"three methods, told so": {threeMethodStore{livestore.New()}, bridge.Options{AutoCleanup: bridge.Off}, 0},
		"sweeper":                {livestore.New(), bridge.Options{}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			c.opts.Logger = slog.New(slog.NewTextHandler(&log, nil))
			b := newBridge(t, c.st, &c.opts)
			require.NoError(t, b.Ping(t.Context()))
			require.Equal(t, c.want, strings.Count(log.String(), "store.Sweeper"))
			require.Equal(t, c.want, strings.Count(log.String(), "Options.AutoCleanup"))
		})
	}
}

// TestHandshakesAreBoundedByDefault: a store that hangs must not let them pile up.
func TestHandshakesAreBoundedByDefault(t *testing.T) {
	for name, c := range map[string]struct {
		most    int
		refused int32
	}{"default": {0, 76}, "off": {bridge.Off, 0}, "set": {10, 1090}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				st := newFaultyStore()
				b := newBridge(t, st, &bridge.Options{MaxHandshakes: c.most, AutoCleanup: bridge.Off})
				mux := newApp(b)
				mux.HandleFunc("/attach", page(func(r *http.Request) (any, error) {
					l, err := b.Attach(r, func(int, string) {})
					if err == nil {
						l.Detach()
					}
					return "", err
				}))
				h := b.Handler(mux)
				ada := pocket{}
				ada.get(t, h, "/inc")
				st.always(hang, "Get")
				var overloaded, unavailable atomic.Int32
				var all sync.WaitGroup
				start := time.Now()
				for range 1100 {
					all.Go(func() {
						w := (pocket{"sid": ada["sid"], "sid.cid": ada["sid.cid"]}).get(t, h, "/attach")
						switch {
						case w.Code == http.StatusServiceUnavailable && strings.Contains(w.Body.String(), "too many handshakes"):
							overloaded.Add(1)
						case w.Code == http.StatusServiceUnavailable:
							unavailable.Add(1)
						}
					})
				}
				all.Wait()
				require.Equal(t, c.refused, overloaded.Load())
				require.Equal(t, 1100-c.refused, unavailable.Load(), "the others have waited for the store")
				require.LessOrEqual(t, time.Since(start), 20*time.Second)
			})
		})
	}
}

// TestAHandlerWhoseDeadlineHasPassedClosesWith1013: what it has waited for took too long, as the
// status over HTTP says, too.
func TestAHandlerWhoseDeadlineHasPassedClosesWith1013(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newFaultyStore()
		a := makeApp(t, st, nil)
		a.mux.Handle("/hurry", a.WebSocket(func(ctx context.Context, c *bridge.Conn) error {
			if _, _, err := c.Read(ctx); err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(ctx, time.Second)
			defer cancel()
			return c.WithSession(ctx, func(ctx context.Context, s *bridge.Session) error {
				_, err := increment(ctx, s)
				return err
			}, nil)
		}, nil))
		br := newBrowser(t, a.serveInMemory(t))
		br.ok("/inc")
		ws := br.dial("/hurry")
		synctest.Wait()
		st.always(hang, "Get")
		closed := ws.whenClosed()
		ws.say("go")
		require.Equal(t, bridge.CodeUnavailable, <-closed)
		require.Equal(t, http.StatusServiceUnavailable, bridge.HTTPStatus(context.DeadlineExceeded))
	})
}
