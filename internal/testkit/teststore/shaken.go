package teststore

import (
	"context"
	"math/rand/v2"
	"runtime"

	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
)

// Shaken is a store in memory that yields to other goroutines around its calls, so that concurrent
// calls interleave in more orders.
type Shaken struct{ *livestore.Store }

// Shake yields to other goroutines a random number of times.
func Shake() {
	for range rand.IntN(12) {
		runtime.Gosched()
	}
}

func (s Shaken) Set(ctx context.Context, rec store.Record) (uint64, error) {
	Shake()
	defer Shake()
	return s.Store.Set(ctx, rec)
}

func (s Shaken) Destroy(ctx context.Context, id string) (bool, error) {
	Shake()
	defer Shake()
	return s.Store.Destroy(ctx, id)
}

func (s Shaken) Get(ctx context.Context, id string) (store.Record, error) {
	Shake()
	defer Shake()
	return s.Store.Get(ctx, id)
}
