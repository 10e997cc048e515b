package bridge_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

func TestSessionsOwnTimes(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	for name, c := range map[string]struct {
		set   func(s *bridge.Session)
		every time.Duration // the browser asks again
		lives time.Duration // still there after this time
		ends  time.Duration // not any more after this
	}{
		"the defaults, silent":        {func(*bridge.Session) {}, 0, day, day + 2*time.Minute},
		"the defaults, busy":          {func(*bridge.Session) {}, 12 * time.Hour, 29 * day, 30 * day},
		"shorter silence":             {func(s *bridge.Session) { s.SetIdleTimeout(time.Hour) }, 0, time.Hour, time.Hour + 2*time.Minute},
		"longer silence":              {func(s *bridge.Session) { s.SetIdleTimeout(3 * day) }, 0, 3 * day, 3*day + 2*time.Minute},
		"silence for ever":            {func(s *bridge.Session) { s.SetIdleTimeout(bridge.Off) }, 0, 29 * day, 30 * day},
		"shorter life, busy":          {func(s *bridge.Session) { s.SetLifetime(2 * day) }, 12 * time.Hour, 47 * time.Hour, 2 * day},
		"longer life, busy":           {func(s *bridge.Session) { s.SetLifetime(60 * day) }, 12 * time.Hour, 59 * day, 60 * day},
		"any life, while it's in use": {func(s *bridge.Session) { s.SetLifetime(bridge.Off) }, 12 * time.Hour, 200 * day, 0},
		"shorter than its age":        {func(s *bridge.Session) { s.SetLifetime(time.Millisecond) }, 0, 0, time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := testkit.NewApp(t, livestore.New(), &bridge.Options{AutoCleanup: bridge.Off})
				a.SessionPage("/set", func(s *bridge.Session) (any, error) { c.set(s); return "ok", nil })
				h := a.Handler(a.Mux)
				visitor := webclient.Pocket{}
				visitor.Get(t, h, "/inc")
				begin := time.Now()
				visitor.Get(t, h, "/set")
				until := func(at time.Duration) {
					for c.every > 0 && time.Since(begin)+c.every < at {
						time.Sleep(c.every)
						visitor.Get(t, h, "/get")
					}
					time.Sleep(at - time.Since(begin))
				}
				until(c.lives)
				if c.lives > 0 {
					require.Equal(t, "1", visitor.Get(t, h, "/get").Body.String())
				}
				if c.ends == 0 {
					return
				}
				if c.every == 0 { // the look at it was activity
					c.ends += c.lives
				}
				until(c.ends)
				require.Equal(t, "0", visitor.Get(t, h, "/get").Body.String())
			})
		})
	}
}
