package bridge_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/teststore"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

func TestSetTimeoutsIsForSessionsFromThenOn(t *testing.T) {
	for name, makeStore := range stores {
		t.Run(name, func(t *testing.T) {
			st, behind := makeStore()
			a := testkit.NewApp(t, st, &bridge.Options{IdleTimeout: time.Hour, Lifetime: 24 * time.Hour})
			h := a.Handler(a.Mux)
			times := func(p webclient.Pocket) (idle, lifetime time.Duration) {
				p.Get(t, h, "/inc")
				rec := teststore.Stored(t, behind, p.Get(t, h, "/id").Body.String())
				return rec.Idle, rec.Lifetime
			}
			before := webclient.Pocket{}
			times(before)
			for _, c := range []struct{ idle, lifetime, newIdle, newLifetime time.Duration }{
				{time.Minute, 0, time.Minute, 24 * time.Hour},
				{0, bridge.Off, time.Minute, 0},
				{bridge.Off, bridge.MinTimeout, 0, bridge.MinTimeout},
				{bridge.MinTimeout, time.Hour, bridge.MinTimeout, time.Hour},
				{2 * time.Hour, 0, 2 * time.Hour, time.Hour},
			} {
				require.NoError(t, a.SetTimeouts(c.idle, c.lifetime))
				require.Equal(t, cmpOff(c.newIdle), a.Options().IdleTimeout)
				require.Equal(t, cmpOff(c.newLifetime), a.Options().Lifetime)
				touch := time.Minute
				if c.newIdle != 0 {
					touch = min(touch, c.newIdle/10)
				}
				require.Equal(t, touch, a.Options().TouchInterval)
			}
			idle, lifetime := times(webclient.Pocket{})
			require.Equal(t, 2*time.Hour, idle)
			require.Equal(t, time.Hour, lifetime)
			idle, lifetime = times(before)
			require.Equal(t, time.Hour, idle, "of a session that began before")
			require.Equal(t, 24*time.Hour, lifetime)
		})
	}
}

// cmpOff returns the option for a timeout of a record.
func cmpOff(d time.Duration) time.Duration {
	if d == 0 {
		return bridge.Off
	}
	return d
}

func TestSetTimeoutsChecksItsValues(t *testing.T) {
	b := testkit.NewBridge(t, livestore.New(), nil)
	for _, bad := range []time.Duration{-2, math.MinInt64, bridge.MinTimeout - 1, century + 1, math.MaxInt64} {
		require.ErrorContains(t, b.SetTimeouts(bad, time.Hour), "idle")
		require.ErrorContains(t, b.SetTimeouts(time.Hour, bad), "lifetime")
	}
	require.Equal(t, 24*time.Hour, b.Options().IdleTimeout, "nothing was changed")
}

func TestOptionsAreThoseInForce(t *testing.T) {
	given := bridge.Options{
		Keys: [][]byte{testkit.Key()}, Name: "shop", RenewEvery: time.Hour, MaxHandshakes: bridge.Off,
		OriginPatterns: []string{"https://a.example"}, ClearSiteData: []string{"cache"}, TrustedProxies: []string{"10.0.0.1"},
	}
	b := testkit.NewBridge(t, livestore.New(), &given)
	o := b.Options()
	require.Nil(t, o.Keys)
	require.NotContains(t, fmt.Sprintf("%+v", o), string(testkit.Key()))
	require.Equal(t, "shop.cid", o.ClientName)
	require.Equal(t, 24*time.Hour, o.IdleTimeout)
	require.Equal(t, 30*24*time.Hour, o.Lifetime)
	require.Equal(t, 6*time.Hour, o.AutoCleanup)
	require.Equal(t, time.Hour, o.RenewEvery)
	require.Equal(t, 16, o.MaxSessionsPerClient)
	require.Equal(t, bridge.Off, o.MaxHandshakes)
	o.OriginPatterns[0], o.ClearSiteData[0], o.TrustedProxies[0] = "", "", ""
	again := b.Options()
	require.Equal(t, given.OriginPatterns, again.OriginPatterns, "it is a copy")
	require.Equal(t, given.ClearSiteData, again.ClearSiteData)
	require.Equal(t, given.TrustedProxies, again.TrustedProxies)

	again.Keys = given.Keys
	same := testkit.NewBridge(t, livestore.New(), &again).Options()
	again.Keys = nil
	require.Equal(t, again, same, "they make the same Bridge")

	poor := testkit.NewBridge(t, teststore.Minimal{Store: livestore.New()}, nil).Options()
	require.Equal(t, bridge.Off, poor.MaxSessionsPerClient, "the store can't find a client's sessions")
	_, err := bridge.New(teststore.Minimal{Store: livestore.New()}, &bridge.Options{OptimizeAfter: 0.5})
	require.ErrorIs(t, err, bridge.ErrUnsupported)
	require.ErrorContains(t, err, "Options.OptimizeAfter")
}
