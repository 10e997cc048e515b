package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"time"

	"github.com/sessionbridge/sessionbridge/store"
)

// Again is what a change does that has found the session changed by somebody else: it goes on from there at once, as the other has just been successful; one that keeps
// losing, which only writers of other processes can do to it, asks them to wait.
type Again struct {
	g       *Gateway
	id      string
	lost    int
	release func(context.Context) error // nil: nobody waits
}

// patience is how many conflicts in a row a change takes for bad luck.
const patience = 3

// Again returns the Again of one change. Stop it.
func (g *Gateway) Again(id string) Again { return Again{g: g, id: id} }

// After returns what to go on from after another conflict; now is what was stored by then. ErrMissing, ErrUnavailable.
func (a *Again) After(ctx context.Context, now store.Record) (store.Record, error) {
	if a.lost++; a.lost < patience {
		return now, nil
	}
	if a.release == nil && a.g.reserver != nil {
		a.release = a.g.reserve(ctx, a.id)
	} else {
		time.Sleep(time.Millisecond << (a.lost - patience))
	}
	return a.g.Load(context.WithoutCancel(ctx), a.id)
}

// reserve has the writers of other processes wait, after those who have asked for that before. nil: it can't be had, and there is luck still.
func (g *Gateway) reserve(ctx context.Context, id string) (release func(context.Context) error) {
	op := g.detached(ctx)
	defer op.stop()
	for {
		release, err := g.reserver.Reserve(op, id)
		if err == nil {
			return release
		}
		if !errors.Is(err, store.ErrBusy) || op.Err() != nil {
			return nil
		}
		time.Sleep(busyPause)
	}
}

// Turn returns when it is the caller's turn among the processes that ask for one of that name, for a second at most. It is nobody's where the store knows of no others, or doesn't answer.
// The store, which may make it part of a key, learns only a hash of the name.
func (g *Gateway) Turn(ctx context.Context, name string) (end func()) {
	if g.reserver == nil {
		return func() {}
	}
	turn := Again{g: g, release: g.reserve(ctx, turnName(name))}
	return turn.Stop
}

func turnName(name string) string {
	sum := sha256.Sum256([]byte(name))
	return "turn " + hex.EncodeToString(sum[:])
}

// Stop lets the others go on.
func (a *Again) Stop() {
	if a.release == nil {
		return
	}
	op := a.g.detached(context.Background())
	defer op.stop()
	_ = a.release(op) // it ends by itself
}
