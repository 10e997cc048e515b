package gateway_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
)

func newGateway(st store.Store) *gateway.Gateway {
	cfg := quiet(5 * time.Second)
	cfg.Watched = func() bool { return true }
	return gateway.New(st, cfg)
}

func TestLockIsHandedOverInTheOrderOfArrival(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(livestore.New())
		first := g.Acquire("s")
		require.NoError(t, first.Lock(t.Context()))
		var order []int
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				k := g.Acquire("s")
				defer k.Release()
				require.NoError(t, k.Lock(t.Context()))
				order = append(order, i)
				k.Unlock()
			})
			synctest.Wait() // it is waiting before the next one comes
		}
		first.Unlock()
		first.Release()
		wg.Wait()
		for i, got := range order {
			require.Equal(t, i, got)
		}
		require.Len(t, order, 20)
		require.Zero(t, g.Locks(), "the table holds nothing for idle sessions")
	})
}

func TestWaitForLockEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(livestore.New())
		held := g.Acquire("s")
		require.NoError(t, held.Lock(t.Context()))
		why := errors.New("why")
		ctx, cancel := context.WithCancelCause(t.Context())
		var waited error
		var wg sync.WaitGroup
		wg.Go(func() {
			k := g.Acquire("s")
			defer k.Release()
			waited = k.Lock(ctx)
		})
		wg.Go(func() { // arrives later, and gets it
			synctest.Wait()
			k := g.Acquire("s")
			defer k.Release()
			if err := k.Lock(t.Context()); err == nil {
				k.Unlock()
			}
		})
		time.Sleep(time.Second)
		cancel(why)
		synctest.Wait()
		require.ErrorIs(t, waited, why)
		held.Unlock()
		held.Release()
		wg.Wait()

		k := g.Acquire("s")
		require.ErrorIs(t, k.Lock(ctx), why, "no lock after the end of the context, even a free one")
		k.Release()
		require.Zero(t, g.Locks())
	})
}
