package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/ctxlock"
	"github.com/sessionbridge/sessionbridge/store"
)

// Retry decides how a change is retried after a conflict with another writer of the session. The
// first retry starts at once from the newer record. After the second conflict in a row the change
// asks for exclusive access: writers of other processes wait and, if the change is a function of
// WithSession, so do the merges of this process.
type Retry struct {
	g       *Gateway
	k       *Lock
	merges  bool   // the change is a merge: merges of this process wait for one another anyway
	later   *Later // as with Gateway.LoadAt
	lost    int
	alone   *alone                      // nil: merges of this process don't wait
	release func(context.Context) error // nil: other processes don't wait
}

// MaxAttempts is how often a change is tried against a session that other writers keep changing.
const MaxAttempts = 8

const (
	patience  = 2                    // conflicts after which a change asks for exclusive access
	busyPause = 3 * time.Millisecond // between two requests while another process has it
)

// Retry returns the Retry of one function of WithSession. The caller holds the outer lock of k
// until Stop.
func (g *Gateway) Retry(k *Lock) Retry { return Retry{g: g, k: k, later: &k.later} }

// After returns the record to start from after another conflict; now is the newer record. It
// returns ErrMissing, ErrUnavailable, or the cause of ctx if that ends a wait.
func (r *Retry) After(ctx context.Context, now store.Record) (store.Record, error) {
	if r.lost++; r.lost < patience {
		return now, nil
	}
	err := r.ask(ctx)
	if err == nil && r.release == nil && r.lost > patience { // the store grants none: wait longer each time
		err = pause(ctx, time.Millisecond<<(r.lost-patience))
	}
	if err != nil {
		return now, err
	}
	rec, _, err := r.g.LoadAt(context.WithoutCancel(ctx), r.k.id, r.later)
	return rec, err
}

// ask makes the other writers of the session wait, as far as the store supports that. It asks again
// after each further loss, because what a store grants ends by itself after a second.
func (r *Retry) ask(ctx context.Context) error {
	release, err := r.g.reserve(ctx, r.k.id)
	if release != nil { // otherwise an earlier one may still be in force
		r.release = release
	}
	if err == nil && !r.merges && r.alone == nil {
		r.alone, err = r.g.keepOut(ctx, r.k)
	}
	return err
}

// reserve makes the writers of other processes wait. It returns nil if the store doesn't grant
// it.
func (g *Gateway) reserve(ctx context.Context, id string) (release func(context.Context) error, err error) {
	if g.reserver == nil {
		return nil, nil
	}
	op := g.detached(ctx)
	defer op.stop()
	for {
		release, err := g.reserver.Reserve(op, id)
		if err == nil {
			return release, nil
		}
		if !errors.Is(err, store.ErrBusy) || op.Err() != nil {
			return nil, nil
		}
		if err := pause(ctx, busyPause); err != nil {
			return nil, err
		}
	}
}

// pause waits for d, or until ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("bridge: wait for another writer of the session: %w", ctxlock.Cause(ctx))
	}
}

// Lease waits for the lease with the name among all processes, which lasts for a second at most. It
// returns without one if the store has no other processes or doesn't answer. The store may use the
// name in a key, so it gets a hash of it.
func (g *Gateway) Lease(ctx context.Context, name string) (release func()) {
	sum := sha256.Sum256([]byte(name))
	end, _ := g.reserve(context.WithoutCancel(ctx), "turn "+hex.EncodeToString(sum[:]))
	r := Retry{g: g, release: end}
	return r.Stop
}

// Stop gives up exclusive access.
func (r *Retry) Stop() {
	if r.alone != nil {
		r.k.letIn(r.alone)
	}
	if r.release == nil {
		return
	}
	op := r.g.detached(context.Background())
	defer op.stop()
	_ = r.release(op) // it ends by itself
}
