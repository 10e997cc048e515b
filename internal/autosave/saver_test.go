package autosave_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/autosave"
	"github.com/sessionbridge/sessionbridge/internal/clock"
	"github.com/sessionbridge/sessionbridge/internal/workers"
)

// thing counts its saves.
type thing struct {
	*autosave.Saver
	clock         *clock.Clock
	planned, soon atomic.Int32
	over          atomic.Bool
	takes         time.Duration
}

func open(t *testing.T, every time.Duration) *thing {
	th := &thing{clock: clock.New()}
	t.Cleanup(th.clock.Close)
	th.Saver = autosave.New(autosave.Config{
		Clock: th.clock,
		Pool:  workers.New(func(any) {}).Pool(2),
		Every: every,
		Save: func(planned bool) bool {
			time.Sleep(th.takes)
			if planned {
				th.planned.Add(1)
			} else {
				th.soon.Add(1)
			}
			return !th.over.Load()
		},
	})
	th.Start()
	return th
}

// saves returns how many planned saves there were, and how many that were asked for.
func (th *thing) saves() [2]int {
	synctest.Wait()
	return [2]int{int(th.planned.Load()), int(th.soon.Load())}
}

func TestSavesFollowAtTheInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := open(t, time.Minute)
		time.Sleep(30*time.Second - 1)
		require.Equal(t, [2]int{0, 0}, th.saves())
		time.Sleep(30*time.Second + 2)
		require.Equal(t, [2]int{1, 0}, th.saves())
		time.Sleep(time.Hour)
		require.Equal(t, [2]int{61, 0}, th.saves())
		th.over.Store(true)
		time.Sleep(time.Hour)
		require.Equal(t, [2]int{62, 0}, th.saves(), "none is planned any more")
		require.Zero(t, th.clock.Len())
	})
}

func TestFirstSavesAreSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var all []*thing
		for range 100 {
			all = append(all, open(t, time.Minute))
		}
		time.Sleep(45 * time.Second)
		n := 0
		for _, th := range all {
			n += th.saves()[0]
		}
		require.InDelta(t, 50, n, 30)
	})
}

func TestSaverWithoutAnIntervalSavesWhenAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := open(t, 0)
		require.Zero(t, th.clock.Len())
		time.Sleep(time.Hour)
		require.Equal(t, [2]int{0, 0}, th.saves())
		th.Soon()
		require.Equal(t, [2]int{0, 1}, th.saves())
	})
}

func TestSavesThatAreAskedForTogetherAreOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := open(t, 0)
		require.NoError(t, th.Lock(t.Context()))
		for range 100 {
			th.Soon()
			synctest.Wait()
		}
		require.Equal(t, [2]int{0, 0}, th.saves(), "the turn is taken")
		th.Unlock()
		require.Equal(t, [2]int{0, 1}, th.saves())
	})
}

func TestSaveThatIsAskedForDuringAnotherFollows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := open(t, 0)
		th.takes = time.Second
		th.Soon()
		time.Sleep(time.Second / 2)
		th.Soon()
		th.Soon()
		time.Sleep(time.Minute)
		require.Equal(t, [2]int{0, 2}, th.saves())
	})
}

func TestPlannedSaveIsMadeUpForWhenTheTurnIsFree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := open(t, time.Minute)
		require.NoError(t, th.Lock(t.Context()))
		time.Sleep(59 * time.Second)
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errors.New("waited"))
		defer cancel()
		require.EqualError(t, th.Lock(ctx), "waited")
		require.Equal(t, [2]int{0, 0}, th.saves())
		th.Unlock()
		require.Equal(t, [2]int{0, 1}, th.saves())
		time.Sleep(time.Minute)
		require.Equal(t, [2]int{1, 1}, th.saves())
	})
}

func TestCloseWaitsForTheTurnAndEndsThePlan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := open(t, time.Minute)
		require.NoError(t, th.Lock(t.Context()))
		began := time.Now()
		time.AfterFunc(time.Second, th.Unlock)
		unlock := th.Close(time.Hour)
		require.Equal(t, time.Second, time.Since(began))
		unlock()
		require.Zero(t, th.clock.Len())
		th.Start()
		require.Zero(t, th.clock.Len())
	})
}

func TestCloseGivesUpATurnThatIsNotFree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := open(t, 0)
		require.NoError(t, th.Lock(t.Context()))
		began := time.Now()
		th.Close(time.Second)()
		require.Equal(t, time.Second, time.Since(began))
		th.Unlock()
	})
}

func TestRetryRepeatsWhatFailsForAWhile(t *testing.T) {
	away, broken := errors.New("away"), errors.New("broken")
	temporary := func(err error) bool { return errors.Is(err, away) }
	for name, test := range map[string]struct {
		results []error // the last one stays
		err     error
		calls   int
		took    time.Duration
	}{
		"success":           {[]error{nil}, nil, 1, 0},
		"success at last":   {[]error{away, away, nil}, nil, 3, 60 * time.Millisecond},
		"a permanent error": {[]error{away, broken}, broken, 2, 20 * time.Millisecond},
		"no success":        {[]error{away}, away, 6, 620 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began, calls := time.Now(), 0
				err := autosave.Retry(time.Second, func() error {
					calls++
					return test.results[min(calls, len(test.results))-1]
				}, temporary)
				require.Equal(t, test.err, err)
				require.Equal(t, test.calls, calls)
				require.Equal(t, test.took, time.Since(began))
			})
		})
	}
}
