package background

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestCloseWaitsForTheGoroutines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New()
		ended := false
		require.True(t, g.Go(func() {
			<-g.Context().Done()
			time.Sleep(time.Second)
			ended = true
		}))
		g.Close()
		require.True(t, ended)
		require.False(t, g.Go(func() { t.Error("it was started after Close") }))
		g.Close()
	})
}

func TestBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b Backoff
		for _, ms := range []time.Duration{20, 40, 80, 160, 320, 640, 1000, 1000} {
			began := time.Now()
			require.True(t, b.Wait(t.Context()))
			require.Equal(t, ms*time.Millisecond, time.Since(began))
		}
		began := time.Now()
		time.Sleep(5 * time.Second)
		b.Worked(began)
		began = time.Now()
		require.True(t, b.Wait(t.Context()))
		require.Equal(t, time.Second, time.Since(began), "5 seconds are not long enough for a reset")

		began = time.Now()
		time.Sleep(time.Minute)
		b.Worked(began)
		began = time.Now()
		require.True(t, b.Wait(t.Context()))
		require.Equal(t, 20*time.Millisecond, time.Since(began))

		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.False(t, b.Wait(ctx))
	})
}
