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
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/teststore"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
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
		"three methods":          {teststore.Minimal{Store: livestore.New()}, bridge.Options{}, 1},
		"three methods, told so": {teststore.Minimal{Store: livestore.New()}, bridge.Options{AutoCleanup: bridge.Off}, 0},
		"sweeper":                {livestore.New(), bridge.Options{}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			c.opts.Logger = slog.New(slog.NewTextHandler(&log, nil))
			b := testkit.NewBridge(t, c.st, &c.opts)
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
				st := teststore.NewFaulty()
				b := testkit.NewBridge(t, st, &bridge.Options{MaxHandshakes: c.most, AutoCleanup: bridge.Off})
				mux := testkit.NewMux(b)
				mux.HandleFunc("/attach", testkit.Page(func(r *http.Request) (any, error) {
					l, err := b.Attach(r, func(int, string) {})
					if err == nil {
						l.Detach()
					}
					return "", err
				}))
				h := b.Handler(mux)
				ada := webclient.Pocket{}
				ada.Get(t, h, "/inc")
				st.Always(teststore.Hang, "Get")
				var overloaded, unavailable atomic.Int32
				var all sync.WaitGroup
				start := time.Now()
				for range 1100 {
					all.Go(func() {
						w := (webclient.Pocket{"sid": ada["sid"], "sid.cid": ada["sid.cid"]}).Get(t, h, "/attach")
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
		st := teststore.NewFaulty()
		a := testkit.NewApp(t, st, nil)
		a.Mux.Handle("/hurry", a.WebSocket(func(ctx context.Context, c *bridge.Conn) error {
			if _, _, err := c.Read(ctx); err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(ctx, time.Second)
			defer cancel()
			return c.WithSession(ctx, func(ctx context.Context, s *bridge.Session) error {
				_, err := testkit.Increment(ctx, s)
				return err
			}, nil)
		}, nil))
		br := webclient.NewBrowser(t, a.ServeInMemory(t))
		br.OK("/inc")
		ws := br.Dial("/hurry")
		synctest.Wait()
		st.Always(teststore.Hang, "Get")
		closed := ws.WhenClosed()
		ws.Say("go")
		require.Equal(t, bridge.CodeUnavailable, <-closed)
		require.Equal(t, http.StatusServiceUnavailable, bridge.HTTPStatus(context.DeadlineExceeded))
	})
}
