package ctxlock_test

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/ctxlock"
)

func TestMutexLetsInOneAtATime(t *testing.T) {
	var l ctxlock.Mutex
	var wg sync.WaitGroup
	inside, total := 0, 0
	for range 8 {
		wg.Go(func() {
			for range 1000 {
				l.Lock()
				inside++
				if inside == 1 {
					total++
				}
				inside--
				l.Unlock()
			}
		})
	}
	wg.Wait()
	require.Equal(t, 8*1000, total)
}

// Goroutines that wait don't keep a bubble's time from passing, and get the lock in the order of
// arrival.
func TestMutexHandsOverInTheOrderOfArrival(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l ctxlock.Mutex
		var order []int
		l.Lock()
		for i := range 4 {
			go func() {
				l.Lock()
				defer l.Unlock()
				order = append(order, i)
			}()
			synctest.Wait()
		}
		time.Sleep(time.Hour)
		require.Empty(t, order)
		l.Unlock()
		synctest.Wait()
		require.Equal(t, []int{0, 1, 2, 3}, order)
	})
}
