package observed

import (
	"context"
	"time"

	"github.com/sessionbridge/sessionbridge/store"
)

// The other capabilities but those of nodes.
type (
	toucher struct {
		*Store
		of store.Toucher
	}
	sweeper struct {
		*Store
		of store.Sweeper
	}
	optimizer struct {
		*Store
		of store.Optimizer
	}
	pinger struct {
		*Store
		of store.Pinger
	}
	namespacer struct {
		*Store
		of store.Namespacer
	}
	userLocker struct {
		*Store
		of store.UserLocker
	}
	cachedGetter struct {
		*Store
		of store.CachedGetter
	}
	keeper struct {
		*Store
		of store.Keeper
	}
)

func (s toucher) Touch(ctx context.Context, id string, seen time.Time) error {
	return try(ctx, s.Store, "touch", func(ctx context.Context) error { return s.of.Touch(ctx, id, seen) })
}

func (s sweeper) Sweep(ctx context.Context, now time.Time, n int) ([]store.Record, error) {
	return call(ctx, s.Store, "sweep", func(ctx context.Context) ([]store.Record, error) {
		return s.of.Sweep(ctx, now, n)
	})
}

func (s optimizer) Optimize(ctx context.Context) error {
	return try(ctx, s.Store, "optimize", s.of.Optimize)
}

func (s pinger) Ping(ctx context.Context) error { return try(ctx, s.Store, "ping", s.of.Ping) }

func (s namespacer) App(name string) store.Store { return New(s.of.App(name), s.hook) }

func (s userLocker) LockUser(ctx context.Context, userID string) (func(context.Context) error, error) {
	unlock, err := call(ctx, s.Store, "lock_user", func(ctx context.Context) (func(context.Context) error, error) {
		return s.of.LockUser(ctx, userID)
	})
	return s.ending("unlock_user", unlock), err
}

// ending returns the function that ends a lock or a reservation, or nil if there is none.
func (s *Store) ending(operation string, fn func(context.Context) error) func(context.Context) error {
	if fn == nil {
		return nil
	}
	return func(ctx context.Context) error { return try(ctx, s, operation, fn) }
}

func (s cachedGetter) GetCached(ctx context.Context, id string) (store.Record, error) {
	return call(ctx, s.Store, "get_cached", func(ctx context.Context) (store.Record, error) {
		return s.of.GetCached(ctx, id)
	})
}

func (s keeper) Keep(ctx context.Context, to store.KeptFor, m store.KeptMessage, limits store.KeepLimits) error {
	return try(ctx, s.Store, "keep", func(ctx context.Context) error { return s.of.Keep(ctx, to, m, limits) })
}

func (s keeper) Kept(ctx context.Context, to store.KeptFor, after uint64) (store.Kept, error) {
	return call(ctx, s.Store, "kept", func(ctx context.Context) (store.Kept, error) { return s.of.Kept(ctx, to, after) })
}
