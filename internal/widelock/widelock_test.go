package widelock_test

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/widelock"
)

func TestReadersShareIt(t *testing.T) {
	var l widelock.Lock
	for i := range 100 {
		defer l.RLock(fmt.Sprint(i)).RUnlock()
	}
	defer l.RLock("").RUnlock()
}

// The race detector sees an access without the lock, and a reader never sees half of a write.
func TestWriterIsAlone(t *testing.T) {
	var l widelock.Lock
	var all sync.WaitGroup
	var torn atomic.Int64
	first, second := 0, 0
	for i := range 8 {
		all.Go(func() {
			for n := range 1000 {
				if n%10 == 0 {
					l.Lock()
					first++
					runtime.Gosched()
					second++
					l.Unlock()
					continue
				}
				held := l.RLock(fmt.Sprint(i))
				if first != second {
					torn.Add(1)
				}
				held.RUnlock()
			}
		})
	}
	all.Wait()
	require.Zero(t, torn.Load())
	require.Equal(t, 8*100, first)
}

func BenchmarkReaders(b *testing.B) {
	var l widelock.Lock
	b.RunParallel(func(pb *testing.PB) {
		for key := uuid.NewString(); pb.Next(); {
			l.RLock(key).RUnlock()
		}
	})
}

func BenchmarkWriter(b *testing.B) {
	var l widelock.Lock
	n := 0
	for b.Loop() {
		l.Lock()
		n++
		l.Unlock()
	}
}
