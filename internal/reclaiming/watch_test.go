package reclaiming_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/reclaiming"
)

// storage is what a Watch watches, and what the Watch has done.
type storage struct {
	*reclaiming.Watch
	left, counted, reclaimed int
	tasks                    []func()
	err                      error
	failures                 []error
}

func watch(share float64) *storage {
	s := &storage{}
	s.Watch = reclaiming.New(reclaiming.Config{
		Share: share,
		Least: 10,
		Left: func(_ context.Context, atMost int) (int, error) {
			n := min(s.left, atMost)
			s.counted += n
			return n, nil
		},
		Reclaim: func(ctx context.Context) error {
			s.reclaimed++
			return errors.Join(s.err, ctx.Err())
		},
		Go:     func(task func()) { s.tasks = append(s.tasks, task) },
		Failed: func(_ context.Context, err error) { s.failures = append(s.failures, err) },
	})
	return s
}

// end ends sessions, cleans up, and runs what that has begun in the background.
func (s *storage) end(n int) {
	for range n {
		s.Ended()
	}
	s.Cleaned()
	for _, task := range s.tasks {
		task()
	}
	s.tasks = nil
}

func TestSpaceIsReclaimedAfterTheShareHasEnded(t *testing.T) {
	for _, c := range []struct {
		share             float64
		left, not, enough int
	}{{0.5, 100, 99, 1}, {0.25, 300, 99, 1}, {0.9, 100, 899, 1}, {1, 0, 9, 1}, {0.5, 0, 9, 1}} {
		s := watch(c.share)
		s.left = c.left
		s.end(c.not)
		require.Zero(t, s.reclaimed, "%+v", c)
		s.end(c.enough + c.not/10) // after a vain attempt a tenth more has to end
		require.Equal(t, 1, s.reclaimed, "%+v", c)
		s.end(c.not)
		require.Equal(t, 1, s.reclaimed, "it counts from the start, %+v", c)
	}
}

func TestCountingCostsWhatHasEnded(t *testing.T) {
	s := watch(0.5)
	s.left = 1_000_000
	ended := 0
	for range 1000 { // cleanups
		s.end(10)
		ended += 10
	}
	require.Zero(t, s.reclaimed)
	require.Less(t, s.counted, 12*ended)
}

func TestOneCallRunsAtATime(t *testing.T) {
	s := watch(0.5)
	for range 10 {
		s.Ended()
	}
	s.Cleaned()
	s.Cleaned()
	require.Len(t, s.tasks, 1)
	s.end(0)
	require.Equal(t, 1, s.reclaimed)
	s.end(10)
	require.Equal(t, 2, s.reclaimed)
}

func TestFailureIsReportedAndTriedAgainAfterTheNextCleanup(t *testing.T) {
	s := watch(0.5)
	s.err = errors.New("no space left")
	s.end(10)
	require.Equal(t, 1, s.reclaimed)
	require.Len(t, s.failures, 1)
	require.ErrorIs(t, s.failures[0], s.err)
	s.err = nil
	s.end(0)
	require.Equal(t, 2, s.reclaimed)
	require.Len(t, s.failures, 1)
}

func TestStoppedWatchReclaimsNothing(t *testing.T) {
	s := watch(0.5)
	for range 10 {
		s.Ended()
	}
	s.Cleaned()
	s.Stop() // while the task waits for its turn
	s.end(0)
	require.Empty(t, s.failures, "the end of the context is none")
	reclaimed := s.reclaimed
	s.end(100)
	require.Equal(t, reclaimed, s.reclaimed)
}

func TestNilWatchDoesNothing(t *testing.T) {
	var w *reclaiming.Watch
	w.Ended()
	w.Cleaned()
	w.Stop()
}
