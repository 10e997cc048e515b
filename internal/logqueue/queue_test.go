package logqueue_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/logqueue"
)

// log collects lines, and blocks while it is stalled.
type log struct {
	*logqueue.Queue
	writers  atomic.Int64 // goroutines that have been started
	panicked atomic.Int64

	mu      sync.Mutex
	lines   []int
	dropped []int
}

func newLog() *log {
	l := &log{}
	l.Queue = logqueue.New(logqueue.Config{
		Go: func(write func()) {
			l.writers.Add(1)
			go write()
		},
		Dropped:  func(lines int) { l.dropped = append(l.dropped, lines) },
		Panicked: func() { l.panicked.Add(1) },
	})
	return l
}

func (l *log) line(n int) func() {
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.lines = append(l.lines, n)
	}
}

func TestLinesAreWrittenInOrderByOneGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLog()
		stalled := make(chan struct{})
		require.True(t, l.Add(func() { <-stalled }))
		for n := range 10 {
			require.True(t, l.Add(l.line(n)))
		}
		synctest.Wait()
		require.Empty(t, l.lines)
		close(stalled)
		synctest.Wait()
		require.Equal(t, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, l.lines)
		require.EqualValues(t, 1, l.writers.Load())
		require.True(t, l.Add(l.line(10)))
		synctest.Wait()
		require.Len(t, l.lines, 11)
		require.EqualValues(t, 2, l.writers.Load(), "the goroutine ends when no line waits")
	})
}

func TestLinesAreDroppedWhenTooManyWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLog()
		stalled := make(chan struct{})
		l.Add(func() { <-stalled })
		synctest.Wait() // it is being written, and waits no more
		for n := range logqueue.Capacity {
			require.True(t, l.Add(l.line(n)))
		}
		for range 3 {
			require.False(t, l.Add(l.line(-1)))
		}
		close(stalled)
		synctest.Wait()
		require.Len(t, l.lines, logqueue.Capacity)
		require.NotContains(t, l.lines, -1)
		require.Equal(t, []int{3}, l.dropped, "reported once")
	})
}

func TestAddAndWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLog()
		l.AddAndWait(l.line(1), time.Second)
		require.Equal(t, []int{1}, l.lines)

		stalled := make(chan struct{})
		l.Add(func() { <-stalled })
		began := time.Now()
		l.AddAndWait(l.line(2), time.Second)
		require.Equal(t, time.Second, time.Since(began))
		require.Len(t, l.lines, 1)
		close(stalled)
		synctest.Wait()
		require.Equal(t, []int{1, 2}, l.lines, "it is written later")
	})
}

func TestPanickingLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLog()
		l.AddAndWait(func() { panic("handler") }, time.Second)
		l.AddAndWait(l.line(1), time.Second)
		synctest.Wait()
		require.EqualValues(t, 1, l.panicked.Load())
		require.Equal(t, []int{1}, l.lines)
	})
}
