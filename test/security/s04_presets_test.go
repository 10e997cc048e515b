package security_test

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

// The figures of the standards, independent of the code.
var presets = map[string]struct {
	preset                   bridge.TimeoutPreset
	silence, lifetime, renew time.Duration // 0: no limit
}{
	"OWASP, high risk": {bridge.TimeoutsOWASPHighRisk, 5 * time.Minute, 4 * time.Hour, 15 * time.Minute},
	"OWASP, low risk":  {bridge.TimeoutsOWASPLowRisk, 30 * time.Minute, 8 * time.Hour, time.Hour},
	"NIST AAL1":        {bridge.TimeoutsNISTAAL1, 0, 30 * 24 * time.Hour, 24 * time.Hour},
	"NIST AAL2":        {bridge.TimeoutsNISTAAL2, time.Hour, 24 * time.Hour, time.Hour},
	"NIST AAL3":        {bridge.TimeoutsNISTAAL3, 15 * time.Minute, 12 * time.Hour, 15 * time.Minute},
}

func TestS04_PresetsEndSilentSessions(t *testing.T) {
	t.Parallel()
	for name, c := range presets {
		t.Run(name, func(t *testing.T) {
			for _, touch := range []time.Duration{0, time.Second} {
				synctest.Test(t, func(t *testing.T) {
					a := testkit.NewApp(t, livestore.New(), &bridge.Options{Timeouts: c.preset, TouchInterval: touch, AutoCleanup: time.Hour})
					h := a.Handler(a.Mux)
					p := webclient.Pocket{}
					p.Get(t, h, "/inc")
					if c.silence == 0 {
						time.Sleep(20 * 24 * time.Hour)
						require.Equal(t, "1", p.Get(t, h, "/get").Body.String(), "there is no limit")
						return
					}
					time.Sleep(c.silence * 9 / 10)
					require.Equal(t, "1", p.Get(t, h, "/get").Body.String())
					time.Sleep(c.silence)
					require.Equal(t, "0", p.Get(t, h, "/get").Body.String(), "silent for as long as it may be")
				})
			}
		})
	}
}

func TestS04_PresetsEndBusySessions(t *testing.T) {
	t.Parallel()
	for name, c := range presets {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := testkit.NewApp(t, livestore.New(), &bridge.Options{Timeouts: c.preset, AutoCleanup: time.Hour})
				h := a.Handler(a.Mux)
				p := webclient.Pocket{}
				p.Get(t, h, "/inc")
				start := time.Now()
				step := 4 * time.Minute
				if c.silence == 0 {
					step = 12 * time.Hour
				}
				for time.Since(start) < c.lifetime-step {
					time.Sleep(step)
					require.Equal(t, "1", p.Get(t, h, "/get").Body.String(), "after %v", time.Since(start))
				}
				time.Sleep(c.lifetime - time.Since(start))
				require.Equal(t, "0", p.Get(t, h, "/get").Body.String(), "whatever the activity")
			})
		})
	}
}

func TestS04_PresetsRenewTokens(t *testing.T) {
	for name, c := range presets {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := testkit.NewApp(t, livestore.New(), &bridge.Options{Timeouts: c.preset})
				h := a.Handler(a.Mux)
				p := webclient.Pocket{}
				p.Get(t, h, "/inc")
				token, start := p["sid"], time.Now()
				step := c.renew / 5
				for time.Since(start) < c.renew-step {
					time.Sleep(step)
					p.Get(t, h, "/get")
					require.Equal(t, token, p["sid"], "after %v", time.Since(start))
				}
				time.Sleep(step)
				require.Equal(t, "1", p.Get(t, h, "/get").Body.String())
				require.NotEqual(t, token, p["sid"])
			})
		})
	}
}

func TestS04_OptionsComeBeforeThePreset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewApp(t, livestore.New(), &bridge.Options{
			Timeouts: bridge.TimeoutsOWASPHighRisk, IdleTimeout: time.Hour, Lifetime: bridge.Off, RenewEvery: bridge.Off,
		})
		h := a.Handler(a.Mux)
		p := webclient.Pocket{}
		p.Get(t, h, "/inc")
		token := p["sid"]
		for range 10 {
			time.Sleep(59 * time.Minute)
			require.Equal(t, "1", p.Get(t, h, "/get").Body.String())
		}
		require.Equal(t, token, p["sid"])
	})
}
