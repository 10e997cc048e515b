package admission_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/admission"
)

func TestNoMoreHandshakesAreUnderWayThanTheLimit(t *testing.T) {
	g := admission.New(admission.Config{AtOnce: 2})
	require.Equal(t, admission.None, g.TryEnter())
	require.Equal(t, admission.None, g.TryEnter())
	require.Equal(t, admission.AtOnce, g.TryEnter())
	require.Equal(t, admission.AtOnce, g.TryEnter())
	require.EqualValues(t, 2, g.Refused())
	g.Leave()
	require.Equal(t, admission.None, g.TryEnter())
}

func TestHandshakesOfASecondAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := admission.New(admission.Config{PerSecond: 10, Burst: 3})
		admitted := func() (n int) {
			for range 100 {
				if g.TryEnter() == admission.None {
					n++
				}
			}
			require.Equal(t, admission.PerSecond, g.TryEnter())
			return n
		}
		require.Equal(t, 3, admitted())
		time.Sleep(100 * time.Millisecond)
		require.Equal(t, 1, admitted())
		time.Sleep(time.Hour)
		require.Equal(t, 3, admitted())
	})
}

func TestGateWithoutLimitsAdmitsAll(t *testing.T) {
	g := admission.New(admission.Config{PerSecond: -1})
	for range 10_000 {
		require.Equal(t, admission.None, g.TryEnter())
	}
}

// latest returns the longest of many waits, in seconds.
func latest(g *admission.Gate) (most int) {
	for range 2000 {
		n := g.RetryAfter()
		if n < 1 {
			return n
		}
		most = max(most, n)
	}
	return most
}

func TestRefusedClientsAreSpreadOverAsLongAsTheOverloadLasts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := admission.New(admission.Config{})
		require.Equal(t, 4, latest(g))
		time.Sleep(20 * time.Second)
		require.Equal(t, 20, latest(g))
		for range 4 {
			time.Sleep(time.Minute)
			require.Positive(t, g.RetryAfter())
		}
		require.Equal(t, 120, latest(g))
		time.Sleep(241 * time.Second)
		require.Equal(t, 4, latest(g), "it is over")
	})
}

func TestClientsComeBackAtTheRateThatIsAdmitted(t *testing.T) {
	for name, test := range map[string]struct {
		perSecond float64
		together  int
		within    time.Duration
	}{
		"one":             {0, 1, 2 * time.Second},
		"many":            {0, 5000, 5 * time.Second},
		"at a lower rate": {100, 1000, 10 * time.Second},
		"a million":       {0, 1e6, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			g := admission.New(admission.Config{PerSecond: test.perSecond})
			var latest time.Duration
			for range 2000 {
				d := g.ReturnAfter(test.together)
				require.Positive(t, d)
				require.LessOrEqual(t, d, test.within)
				latest = max(latest, d)
			}
			require.Greater(t, latest, test.within*9/10)
		})
	}
}

func TestDrainIsSpreadEvenlyOverItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began, sizes := time.Now(), []int{}
		admission.Drain(t.Context(), make([]int, 1003), time.Second, 0, func(batch []int) {
			require.Equal(t, time.Duration(len(sizes))*50*time.Millisecond, time.Since(began))
			sizes = append(sizes, len(batch))
		})
		require.Len(t, sizes, 20)
		sum := 0
		for _, n := range sizes {
			require.InDelta(t, 50, n, 1)
			sum += n
		}
		require.Equal(t, 1003, sum)
	})
}

func TestFewConnectionsAreDrainedOneByOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began, order := time.Now(), []int{}
		admission.Drain(t.Context(), []int{1, 2, 3}, 3*time.Second, 0, func(batch []int) { order = append(order, batch...) })
		require.Equal(t, []int{1, 2, 3}, order)
		require.Equal(t, 2*time.Second, time.Since(began))
		admission.Drain(t.Context(), []int(nil), time.Hour, 0, func([]int) { t.Error("there is none") })
		require.Equal(t, 2*time.Second, time.Since(began))
	})
}

func TestDrainEndsBeforeItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		began, n := time.Now(), 0
		admission.Drain(ctx, make([]int, 1000), time.Hour, 2*time.Second, func(batch []int) { n += len(batch) })
		require.Equal(t, 1000, n)
		require.Less(t, time.Since(began), time.Second)

		ctx, cancel = context.WithCancel(t.Context())
		defer cancel()
		time.AfterFunc(time.Minute, cancel)
		began, n = time.Now(), 0
		admission.Drain(ctx, make([]int, 1000), time.Hour, 0, func(batch []int) { n += len(batch) })
		require.Equal(t, 1000, n)
		require.Equal(t, time.Minute, time.Since(began))
	})
}
