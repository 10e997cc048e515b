package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/sessionbridge/sessionbridge/store"
)

// Again is how a change that has found the session changed by another writer goes on: from what is stored then, at once at first. After the second conflict in a row it asks
// for the session for itself: other processes wait, and for a function of WithSession merges of this process as well.
type Again struct {
	g       *Gateway
	k       *Lock
	merges  bool   // the change is a merge: merges of this process wait for one another anyway
	later   *Later // as with Gateway.LoadAt
	lost    int
	alone   *alone                      // nil: merges of this process don't wait
	release func(context.Context) error // nil: other processes don't wait
}

// patience is the number of conflicts after which a change asks for the session for itself.
const patience = 2

// Again returns the Again of one function of WithSession. The outer lock of k is held until Stop.
func (g *Gateway) Again(k *Lock) Again { return Again{g: g, k: k, later: &k.later} }

// After returns what to go on from after another conflict; now is what was stored by then. ErrMissing, ErrUnavailable, and the cause of ctx's end while it waits.
func (a *Again) After(ctx context.Context, now store.Record) (store.Record, error) {
	var err error
	switch a.lost++; {
	case a.lost < patience:
		return now, nil
	case a.lost == patience:
		err = a.ask(ctx)
	case a.release == nil: // another process, or a change that is no merge: they take turns by chance
		err = pause(ctx, time.Millisecond<<(a.lost-patience))
	}
	if err != nil {
		return now, err
	}
	rec, _, err := a.g.LoadAt(context.WithoutCancel(ctx), a.k.id, a.later)
	return rec, err
}

// ask has the other writers of the session wait, as far as that can be had.
func (a *Again) ask(ctx context.Context) (err error) {
	if a.release, err = a.g.reserve(ctx, a.k.id); err == nil && !a.merges {
		a.alone, err = a.g.keepOut(ctx, a.k)
	}
	return err
}

// reserve has the writers of other processes wait, after those that have asked for it before. The result is nil where the store doesn't grant it.
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
		return fmt.Errorf("bridge: wait for another writer of the session: %w", cause(ctx))
	}
}

// Turn returns when it is the caller's turn among the processes that ask for one of that name, for a second at most. It is nobody's where the store knows of no others, or doesn't answer.
// The store, which may make it part of a key, learns only a hash of the name.
func (g *Gateway) Turn(ctx context.Context, name string) (end func()) {
	release, _ := g.reserve(context.WithoutCancel(ctx), turnName(name))
	turn := Again{g: g, release: release}
	return turn.Stop
}

func turnName(name string) string {
	sum := sha256.Sum256([]byte(name))
	return "turn " + hex.EncodeToString(sum[:])
}

// Stop lets the others go on.
func (a *Again) Stop() {
	if a.alone != nil {
		a.k.letIn(a.alone)
	}
	if a.release == nil {
		return
	}
	op := a.g.detached(context.Background())
	defer op.stop()
	_ = a.release(op) // it ends by itself
}
