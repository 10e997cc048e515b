package nodes_test

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/redistest"
	"github.com/sessionbridge/sessionbridge/internal/testkit/endtoend"
)

// TestG1_MergesDoNotStarveAFunctionOnRedis: a function that takes 40 ms is stored, although a tab
// of the same process, and one of another, write 50 times a second.
func TestG1_MergesDoNotStarveAFunctionOnRedis(t *testing.T) {
	const calls = 10
	s := redistest.Start(t)
	keys := [][]byte{endtoend.NewKey()}
	here, there := onRedis(t, s.URL(), keys), onRedis(t, s.URL(), keys)
	for _, a := range []*endtoend.App{here, there} {
		a.Page("/tab", func(r *http.Request, s *bridge.Session) (string, error) {
			s.Set("tab", r.URL.RawQuery)
			return "ok", nil
		})
	}
	here.Mux.HandleFunc("/slowly", func(w http.ResponseWriter, r *http.Request) {
		endtoend.Answer(w, func() (string, error) {
			return bridge.WithSession(r.Context(), here.Bridge.For(r), func(ctx context.Context, s *bridge.Session) (string, error) {
				<-time.After(40 * time.Millisecond)
				return endtoend.Increment(ctx, s)
			}, nil)
		})
	})
	ada := endtoend.NewBrowser(t, here)
	require.Equal(t, "1", ada.Get("/increment"))
	for name, tabs := range map[string][]*endtoend.App{"a tab of the same process": {here}, "and one of another": {here, there}} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			var writing sync.WaitGroup
			for _, a := range tabs {
				tab := ada.Another().At(a)
				writing.Go(func() {
					next := time.NewTicker(20 * time.Millisecond)
					defer next.Stop()
					for i := 0; ctx.Err() == nil; i++ {
						if got, err := tab.Try("/tab?" + strconv.Itoa(i)); err != nil || got != "ok" {
							t.Errorf("the tab: %q, %v", got, err)
							return
						}
						<-next.C
					}
				})
			}
			before, err := strconv.Atoi(ada.Get("/count"))
			require.NoError(t, err)
			var failed []error
			for range calls {
				if _, err := ada.Try("/slowly"); err != nil {
					failed = append(failed, err)
				}
			}
			cancel()
			writing.Wait()
			require.NoError(t, errors.Join(failed...))
			require.Equal(t, strconv.Itoa(before+calls), ada.Get("/count"))
		})
	}
}
