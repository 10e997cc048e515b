package bridge

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestSlotLetsInOneAtATime(t *testing.T) {
	var l slot
	var wg sync.WaitGroup
	inside, total := 0, 0
	for range 8 {
		wg.Go(func() {
			for range 1000 {
				l.lock()
				inside++
				if inside == 1 {
					total++
				}
				inside--
				l.unlock()
			}
		})
	}
	wg.Wait()
	require.Equal(t, 8*1000, total)
}

// Whoever waits for the slot doesn't keep a bubble's time from passing, and they get it in the order of arrival.
func TestSlotHandsOverInTheOrderOfArrival(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l slot
		var order []int
		l.lock()
		for i := range 4 {
			go func() {
				l.lock()
				defer l.unlock()
				order = append(order, i)
			}()
			synctest.Wait()
		}
		time.Sleep(time.Hour)
		require.Empty(t, order)
		l.unlock()
		synctest.Wait()
		require.Equal(t, []int{0, 1, 2, 3}, order)
	})
}
