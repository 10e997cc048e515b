package guarantees_test

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// G1: while BeforeCommit changes its copy of a Session, another goroutine of the request may change
// the Session. Neither change is lost.
func TestChangeDuringBeforeCommit(t *testing.T) {
	for name, first := range map[string]func(s *bridge.Session){
		"flash": func(s *bridge.Session) { s.AddFlash("x") },
		"clear": func(s *bridge.Session) { s.Clear() },
		"idle":  func(s *bridge.Session) { s.SetIdleTimeout(time.Hour) },
		"login": func(s *bridge.Session) { _ = s.Login("ada") },
	} {
		t.Run(name, func(t *testing.T) {
			var hook atomic.Pointer[func(s *bridge.Session)]
			a := testkit.NewApp(t, livestore.New(), &bridge.Options{
				BeforeCommit: func(_ context.Context, s *bridge.Session) error {
					if do := hook.Swap(nil); do != nil {
						(*do)(s)
					}
					s.Set("stamp", true)
					return nil
				},
			})
			h := a.Handler(a.Mux)
			a.SessionPage("/both", func(s *bridge.Session) (any, error) {
				first(s)
				go1, done := make(chan struct{}), make(chan struct{})
				go func() {
					defer close(done)
					<-go1
					s.Set("mine", true)
				}()
				do := func(copied *bridge.Session) {
					close(go1)
					copied.Set("stamp", true)
					<-done
				}
				hook.Store(&do)
				return "ok", nil
			})
			lost := 0
			for range 300 {
				p := webclient.Pocket{}
				p.Get(t, h, "/inc")
				w := p.Get(t, h, "/both")
				require.Equal(t, http.StatusOK, w.Code, w.Body)
				id := p.Get(t, h, "/id").Body.String()
				if _, ok := testkit.Snapshot(t, a, id).Get("mine"); !ok {
					lost++
				}
			}
			require.Zero(t, lost, "changes of the other goroutine that are lost")
		})
	}
}
