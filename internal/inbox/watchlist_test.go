package inbox_test

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/inbox"
)

// newWatchlist counts its reviews.
func newWatchlist() (w *inbox.Watchlist, reviews *atomic.Int64) {
	reviews = new(atomic.Int64)
	w = inbox.NewWatchlist(func(after time.Duration) {
		time.AfterFunc(after, func() {
			reviews.Add(1)
			w.Review()
		})
	})
	return w, reviews
}

func TestConnectionThatIsNotReadIsReadAfterHalfASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, reviews := newWatchlist()
		var all []*source
		for range 100 {
			s := newSource()
			defer s.drain()
			all = append(all, s)
			w.Add(&s.box)
			w.Add(&s.box)
		}
		time.Sleep(499 * time.Millisecond)
		for _, s := range all {
			require.Zero(t, s.reads.Load())
		}
		time.Sleep(time.Millisecond)
		synctest.Wait()
		for _, s := range all {
			require.EqualValues(t, 1, s.reads.Load())
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		require.EqualValues(t, 2, reviews.Load(), "for all of them, and none while the list is empty")
	})
}

func TestConnectionThatIsReadIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, reviews := newWatchlist()
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
		time.Sleep(time.Minute)
		require.EqualValues(t, 1, reviews.Load(), "none while its read is pending")
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
		w, _ := newWatchlist()
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
		w, reviews := newWatchlist()
		s := newSource()
		w.Add(&s.box)
		s.closed.Store(true)
		time.Sleep(time.Minute)
		synctest.Wait()
		require.EqualValues(t, 1, reviews.Load())
		require.Zero(t, s.mostReads.Load())
	})
}
