package gateway_test

import (
	"context"
	"errors"
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

// slowStore delays each Get, and counts them.
type slowStore struct {
	store.Store
	gets  atomic.Int64
	takes time.Duration
	fails func(n int64) error
}

func (s *slowStore) Get(ctx context.Context, id string) (store.Record, error) {
	n := s.gets.Add(1)
	rec, err := s.Store.Get(ctx, id) // as of the beginning of the delay: the oldest valid result
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
	return gateway.New(st, quiet(time.Minute)), st
}

// quiet is a Config that ignores what is reported.
func quiet(timeout time.Duration) gateway.Config {
	return gateway.Config{
		TouchInterval: time.Minute, StoreTimeout: timeout, Failed: func(context.Context, string, string, error) {},
		Committed: func(gateway.Commit) {}, Ended: func(gateway.End) {}, Watched: func() bool { return false },
		Doubted: func(string) {},
	}
}

func put(t *testing.T, st store.Store, id string) {
	t.Helper()
	_, err := st.Set(t.Context(), store.Record{ID: id, ClientID: "c", Data: []byte("{}"), Created: time.Now(), Seen: time.Now()})
	require.NoError(t, err)
}

// Callers that come while a load is under way share the next one; none joins the one that had begun
// before.
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

// Sessions are created and destroyed: a load that begins after such a call has returned finds its
// effect.
func TestLoadSharedUnderStress(t *testing.T) {
	g, st := sharing(t, 0)
	const readers, rounds = 8, 500
	var exists atomic.Int64 // even: it doesn't, odd: it does; set after each change
	var began atomic.Int64  // likewise, set before each change
	var done atomic.Bool
	var all sync.WaitGroup
	for range readers {
		all.Go(func() {
			for !done.Load() {
				before := exists.Load()
				_, err := g.LoadShared(t.Context(), "s")
				if began.Load() != before {
					continue // it changed meanwhile: either result is right
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

// A caller that stops waiting doesn't affect those that still wait, and leaves nothing behind.
func TestLoadSharedWithoutThoseWhoHaveLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, st := sharing(t, time.Second)
		put(t, st, "s")
		ctx, cancel := context.WithCancelCause(t.Context())
		hungUp := errors.New("hung up")
		var all sync.WaitGroup
		all.Go(func() { _, _ = g.LoadShared(ctx, "s") }) // runs the first load, for which no other caller waits
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

// A caller that runs a load for others as well goes on with it when it has hung up itself.
func TestLoadSharedGoesOnForTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, st := sharing(t, 0)
		put(t, st, "s")
		waits := &waitingStore{slowStore: st}
		g := gateway.New(waits, quiet(time.Minute))
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() { _, _ = g.LoadShared(t.Context(), "s") })
		synctest.Wait()
		all.Go(func() { _, _ = g.LoadShared(ctx, "s") }) // it runs the second load
		synctest.Wait()
		all.Go(func() {
			_, err := g.LoadShared(t.Context(), "s")
			require.NoError(t, err)
		})
		time.Sleep(1500 * time.Millisecond) // in the middle of the second load
		cancel()
		all.Wait()
		require.EqualValues(t, 2, st.gets.Load())
	})
}

// waitingStore takes a second for each Get, or as long as its context lasts.
type waitingStore struct{ *slowStore }

func (s *waitingStore) Get(ctx context.Context, id string) (store.Record, error) {
	select {
	case <-time.After(time.Second):
		return s.slowStore.Get(ctx, id)
	case <-ctx.Done():
		return store.Record{}, context.Cause(ctx)
	}
}

// A caller whose wait ends at the moment at which its turn comes passes the turn on.
func TestLoadSharedPassesTurnsOn(t *testing.T) {
	for range 200 {
		synctest.Test(t, func(t *testing.T) {
			g, st := sharing(t, time.Second)
			put(t, st, "s")
			var all sync.WaitGroup
			all.Go(func() { _, _ = g.LoadShared(t.Context(), "s") })
			time.Sleep(time.Millisecond)
			ctx, cancel := context.WithTimeout(t.Context(), 999*time.Millisecond) // the same moment
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

// All callers that share a load, and no others, get its result, even if that is a failure or a
// panic.
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
		five := func(check func(error)) { // one caller runs a load, and five share the next
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
		require.EqualValues(t, 1, panicked.Load(), "the caller that ran the load")
		five(func(err error) { require.NoError(t, err) })
		require.Zero(t, g.SharedLoads())
	})
}
