package gateway_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
)

// slowStore takes its time to answer a Get, and counts them.
type slowStore struct {
	store.Store
	gets  atomic.Int64
	takes time.Duration
	fails func(n int64) error
}

func (s *slowStore) Get(ctx context.Context, id string) (store.Record, error) {
	n := s.gets.Add(1)
	rec, err := s.Store.Get(ctx, id) // what it answers is as of the beginning, the worst that a store may do
	if s.takes > 0 {
		time.Sleep(s.takes)
	}
	if s.fails != nil {
		if err := s.fails(n); err != nil {
			return store.Record{}, err
		}
	}
	return rec, err
}

func sharing(t *testing.T, takes time.Duration) (*gateway.Gateway, *slowStore) {
	t.Helper()
	st := &slowStore{Store: livestore.New(), takes: takes}
	g := gateway.New(st, gateway.Config{
		TouchInterval: time.Minute, StoreTimeout: time.Minute, Logger: slog.New(slog.DiscardHandler),
		Committed: func(gateway.Commit) {}, Ended: func(gateway.End) {}, Watched: func() bool { return false }, Doubted: func(string) {},
	})
	return g, st
}

func put(t *testing.T, st store.Store, id string) {
	t.Helper()
	_, err := st.Set(t.Context(), store.Record{ID: id, ClientID: "c", Data: []byte("{}"), Created: time.Now(), Seen: time.Now()})
	require.NoError(t, err)
}

// All who come while a load is under way share the next one; none joins the one that had begun before.
func TestLoadSharedIsNeverOlderThanItsCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, st := sharing(t, time.Second)
		put(t, st, "s")
		var early, late sync.WaitGroup
		early.Go(func() {
			_, err := g.LoadShared(t.Context(), "s")
			require.NoError(t, err, "it had begun before the destroy")
		})
		time.Sleep(time.Millisecond)
		was, err := st.Destroy(t.Context(), "s")
		require.NoError(t, err)
		require.True(t, was)
		for range 100 {
			late.Go(func() {
				_, err := g.LoadShared(t.Context(), "s")
				require.ErrorIs(t, err, gateway.ErrMissing)
			})
		}
		early.Wait()
		late.Wait()
		require.EqualValues(t, 2, st.gets.Load())
	})
}

// Sessions come and go, and whoever looks after a destroy has returned, or after a create has, finds that out.
func TestLoadSharedUnderStress(t *testing.T) {
	g, st := sharing(t, 0)
	const readers, rounds = 8, 500
	var exists atomic.Int64 // even: it doesn't, odd: it does; changed when the change has returned
	var began atomic.Int64  // likewise, when it begins
	var done atomic.Bool
	var all sync.WaitGroup
	for range readers {
		all.Go(func() {
			for !done.Load() {
				before := exists.Load()
				_, err := g.LoadShared(t.Context(), "s")
				if began.Load() != before {
					continue // it changed meanwhile: either will do
				}
				if found := err == nil; found != (before%2 == 1) {
					t.Errorf("generation %d: found %v", before, found)
					return
				}
			}
		})
	}
	for range rounds {
		began.Add(1)
		put(t, st, "s")
		exists.Add(1)
		_, _ = g.LoadShared(t.Context(), "s")
		began.Add(1)
		_, err := g.Destroy(t.Context(), "s", "c", nil)
		require.NoError(t, err)
		exists.Add(1)
		_, err = g.LoadShared(t.Context(), "s")
		require.ErrorIs(t, err, gateway.ErrMissing)
	}
	done.Store(true)
	all.Wait()
	require.Zero(t, g.Locks())
	require.Zero(t, g.SharedLoads())
}

// Whoever stops waiting takes nothing away from those who wait on, and leaves nothing behind.
func TestLoadSharedWithoutThoseWhoHaveLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, st := sharing(t, time.Second)
		put(t, st, "s")
		ctx, cancel := context.WithCancelCause(t.Context())
		hungUp := errors.New("hung up")
		var all sync.WaitGroup
		all.Go(func() { _, _ = g.LoadShared(ctx, "s") }) // does the first load, which goes on for nobody else's sake
		synctest.Wait()
		for range 10 {
			all.Go(func() {
				_, err := g.LoadShared(ctx, "s")
				require.ErrorIs(t, err, hungUp)
			})
		}
		synctest.Wait()
		cancel(hungUp)
		synctest.Wait()
		all.Go(func() {
			_, err := g.LoadShared(t.Context(), "s")
			require.NoError(t, err)
		})
		all.Wait()
		require.EqualValues(t, 2, st.gets.Load())
		_, err := g.LoadShared(ctx, "s")
		require.ErrorIs(t, err, hungUp)
		require.Zero(t, g.SharedLoads())
	})
}

// One whose wait ends in the moment that its turn comes passes it on.
func TestLoadSharedPassesTurnsOn(t *testing.T) {
	for range 200 {
		synctest.Test(t, func(t *testing.T) {
			g, st := sharing(t, time.Second)
			put(t, st, "s")
			var all sync.WaitGroup
			all.Go(func() { _, _ = g.LoadShared(t.Context(), "s") })
			time.Sleep(time.Millisecond)
			ctx, cancel := context.WithTimeout(t.Context(), 999*time.Millisecond) // the very moment
			defer cancel()
			all.Go(func() { _, _ = g.LoadShared(ctx, "s") })
			time.Sleep(time.Second)
			_, err := g.LoadShared(t.Context(), "s")
			require.NoError(t, err)
			all.Wait()
			require.Zero(t, g.SharedLoads())
		})
	}
}

// What a load comes to, failure and panic included, it comes to for all who share it, and for nobody else.
func TestLoadSharedSharesFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, st := sharing(t, time.Second)
		put(t, st, "s")
		outage := errors.New("outage")
		st.fails = func(n int64) error {
			switch n {
			case 2:
				return outage
			case 4:
				panic("broken store")
			}
			return nil
		}
		var panicked atomic.Int64
		five := func(check func(error)) { // one does a load, and five share the next
			var all sync.WaitGroup
			all.Go(func() {
				_, err := g.LoadShared(t.Context(), "s")
				require.NoError(t, err)
			})
			time.Sleep(time.Millisecond)
			for range 5 {
				all.Go(func() {
					defer func() {
						if recover() != nil {
							panicked.Add(1)
						}
					}()
					_, err := g.LoadShared(t.Context(), "s")
					check(err)
				})
			}
			all.Wait()
		}
		five(func(err error) {
			require.ErrorIs(t, err, gateway.ErrUnavailable)
			require.ErrorIs(t, err, outage)
		})
		five(func(err error) { require.ErrorIs(t, err, gateway.ErrUnavailable) })
		require.EqualValues(t, 1, panicked.Load(), "the one who did the load")
		five(func(err error) { require.NoError(t, err) })
		require.Zero(t, g.SharedLoads())
	})
}
