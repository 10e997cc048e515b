package inbox_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/clock"
	"github.com/sessionbridge/sessionbridge/internal/inbox"
)

// newWatchlist returns a Watchlist, and the clock on which its next review is planned.
func newWatchlist(t *testing.T) (*inbox.Watchlist, *clock.Clock) {
	c := clock.New()
	t.Cleanup(c.Close)
	return inbox.NewWatchlist(c), c
}

func TestConnectionThatIsNotReadIsReadAfterHalfASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, c := newWatchlist(t)
		var all []*source
		for range 100 {
			s := newSource()
			defer s.drain()
			all = append(all, s)
			w.Add(&s.box)
			w.Add(&s.box)
		}
		require.Equal(t, 1, c.Len(), "one review for all of them")
		time.Sleep(499 * time.Millisecond)
		for _, s := range all {
			require.Zero(t, s.reads.Load())
		}
		time.Sleep(time.Millisecond)
		synctest.Wait()
		for _, s := range all {
			require.EqualValues(t, 1, s.reads.Load())
		}
		require.Zero(t, c.Len(), "no review while the list is empty")
	})
}

func TestConnectionThatIsReadIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, c := newWatchlist(t)
		s := newSource()
		done := make(chan struct{})
		go func() {
			defer close(done)
			for {
				if _, err := s.read(t.Context()); err != nil {
					return
				}
				w.Add(&s.box)
			}
		}()
		w.Add(&s.box)
		time.Sleep(251 * time.Millisecond)
		require.Zero(t, c.Len(), "no further review while its read is pending")
		for range 100 { // a handler that works for a while on each
			s.messages <- "work"
			time.Sleep(200 * time.Millisecond)
		}
		require.EqualValues(t, 1, s.mostReads.Load())
		s.drain()
		<-done
		time.Sleep(time.Second)
		synctest.Wait()
	})
}

func TestHandlerThatStopsReadingIsReplacedAndComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, _ := newWatchlist(t)
		s := newSource()
		defer s.drain()
		for i := range 5 {
			s.messages <- "one"
			text, err := s.read(t.Context())
			require.NoError(t, err, i)
			require.Equal(t, "one", text)
			w.Add(&s.box)
			time.Sleep(10 * time.Second)
			require.EqualValues(t, 1, s.reads.Load(), "the inbox")
		}
	})
}

func TestClosedConnectionLeavesTheList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, c := newWatchlist(t)
		s := newSource()
		w.Add(&s.box)
		s.closed.Store(true)
		time.Sleep(251 * time.Millisecond)
		require.Zero(t, c.Len())
		require.Zero(t, s.mostReads.Load())
	})
}
