package logins

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"

	"github.com/sessionbridge/sessionbridge/internal/ctxlock"
	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/store"
)

const (
	maxAtOnce   = 32 // sessions that are destroyed at once: a store may group them
	maxFailures = 32 // after which a bulk destroy gives up: the store is down
)

// bulkDestroy destroys the sessions of a user, or all.
type bulkDestroy struct {
	gate    *Gate
	gateway *gateway.Gateway
	user    string // "" for all
	tag     any    // of the ends
	turn    uint64

	// Guarded by the Gate's lock.
	spared    map[string]bool // sessions that survive
	destroyed int
	failures  []error
}

// DestroyUser destroys the user's sessions, except those with the given IDs, and returns how many
// it has destroyed. Their ends have the tag.
//
// If a session can't be destroyed, it goes on with the others, unless many of them fail. The error
// joins the failures: errors.ErrUnsupported, gateway.ErrUnavailable, the cause of ctx's end.
func (g *Gate) DestroyUser(
	ctx context.Context, gw *gateway.Gateway, userID string, except []string, tag any,
) (n int, err error) {
	all, err := gw.ByUser(ctx, userID)
	if err != nil {
		return 0, err
	}
	unlock, err := gw.LockUser(ctx, userID)
	if err != nil {
		return 0, err
	}
	if unlock != nil {
		defer func() { err = errors.Join(err, unlock()) }()
	}
	d := &bulkDestroy{gate: g, gateway: gw, user: userID, tag: tag, spared: make(map[string]bool)}
	for _, id := range except {
		d.spared[id] = true
	}
	return d.run(ctx, all, unlock != nil)
}

// DestroyAll destroys every session: see DestroyUser.
func (g *Gate) DestroyAll(ctx context.Context, gw *gateway.Gateway, tag any) (int, error) {
	all, err := gw.All(ctx)
	if err != nil {
		return 0, err
	}
	d := &bulkDestroy{gate: g, gateway: gw, tag: tag, spared: make(map[string]bool)}
	return d.run(ctx, all, false)
}

// gains reports whether the change adds a session to those that are to be destroyed.
func (d *bulkDestroy) gains(c *change) bool {
	if d.user == "" {
		return c.IsNew
	}
	return c.User == d.user
}

// includes reports whether the session, which is the user's, is to be destroyed. The Gate's lock is
// held.
func (d *bulkDestroy) includes(id, user string) bool {
	return (d.user == "" || d.user == user) && !d.spared[id]
}

func (d *bulkDestroy) includesRecord(rec *store.Record) bool {
	d.gate.mu.Lock()
	defer d.gate.mu.Unlock()
	return d.includes(rec.ID, rec.UserID)
}

// run begins the bulk destroy, and then the iteration over the sessions that it may include. locked
// says that the user's logins wait for it.
func (d *bulkDestroy) run(ctx context.Context, all iter.Seq2[store.Record, error], locked bool) (n int, err error) {
	before := d.gate.begin(d)
	defer func() { // also if the store panics: no login may help any more
		err = errors.Join(err, wait(ctx, d.gate.finish(d)))
		d.gate.mu.Lock()
		defer d.gate.mu.Unlock()
		n, err = d.destroyed, errors.Join(append(d.failures, err)...)
	}()
	if !locked {
		if err := wait(ctx, before); err != nil {
			return 0, err
		}
	}
	return 0, d.destroyEach(ctx, all)
}

// destroyEach has no goroutines left when it returns.
func (d *bulkDestroy) destroyEach(ctx context.Context, all iter.Seq2[store.Record, error]) error {
	var running sync.WaitGroup
	defer running.Wait()
	slots := make(chan struct{}, maxAtOnce)
	for rec, err := range all {
		switch {
		case err != nil:
			return gateway.Unavailable(ctx, "end the sessions", err)
		case !d.includesRecord(&rec):
			continue
		}
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return ctxlock.Cause(ctx)
		}
		if d.hasFailed() {
			return nil
		}
		running.Go(func() {
			defer func() { <-slots }()
			d.destroy(ctx, rec.ID)
		})
	}
	return nil
}

func (d *bulkDestroy) hasFailed() bool {
	d.gate.mu.Lock()
	defer d.gate.mu.Unlock()
	return len(d.failures) >= maxFailures
}

// destroy destroys a session, if it still is to be destroyed: meanwhile it may have become another
// user's, or the user may have logged in to it again. A store that panics doesn't end the process.
func (d *bulkDestroy) destroy(ctx context.Context, id string) {
	destroyed, err := false, errors.New("bridge: the store panicked")
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", err, p)
		}
		d.gate.mu.Lock()
		defer d.gate.mu.Unlock()
		if destroyed {
			d.destroyed++
		}
		if err != nil {
			d.failures = append(d.failures, err)
		}
	}()
	destroyed, err = d.gateway.DestroyIf(ctx, nil, id, d.includesRecord, d.tag)
}
