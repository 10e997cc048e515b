package bridgetest

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
)

// Limit is how long the functions of this package wait for something that must happen, such as a
// message. It doesn't decide the result of a correct test: in a synctest bubble it is fake time.
const Limit = time.Minute

// New returns a Bridge that keeps its sessions in memory, and shuts it down when the test ends. Nil
// options are all defaults.
//
// Without Options.Keys the keys are always the same ones. Without Options.Logger the Bridge's log
// lines are printed only if the test fails, with those of level Debug.
//
// The test fails if a connection, a WebSocket or a Link, is still open when its other cleanups have
// run and Limit has passed: its client was never closed, or its handler ignores the end of its
// context. It also fails if the Bridge can't be shut down within Limit.
func New(t testing.TB, opts *bridge.Options) *bridge.Bridge {
	t.Helper()
	return NewOver(t, livestore.New(), opts)
}

// NewOver is New for a store of the test, which may be shared by several Bridges. The test closes
// the store in a Cleanup that it has registered before.
func NewOver(t testing.TB, st store.Store, opts *bridge.Options) *bridge.Bridge {
	t.Helper()
	var o bridge.Options
	if opts != nil {
		o = *opts
	}
	if o.Keys == nil {
		o.Keys = [][]byte{[]byte("bridgetest: a key for tests only")}
	}
	if o.Logger == nil {
		o.Logger = slog.New(newLog(t))
	}
	b, err := bridge.New(st, &o)
	if err != nil {
		t.Fatalf("bridgetest: %v", err)
	}
	t.Cleanup(func() { shutDown(t, b) })
	return b
}

func shutDown(t testing.TB, b *bridge.Bridge) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	if !conclude(b) {
		for c, err := range b.Conns(ctx, bridge.ConnFilter{}) {
			if err != nil {
				t.Errorf("bridgetest: list the open connections: %v", err)
				break
			}
			if c.Remote {
				t.Errorf("bridgetest: remote %s of user %q, attached %v ago, is still there: call Detach of its RemoteLink "+
					"before the test ends", c.ID, c.UserID, time.Since(c.ConnectedAt))
				continue
			}
			t.Errorf("bridgetest: connection %s of user %q, opened %v ago, is still open: close its client before the test "+
				"ends, and let its handler return when its context ends", c.ID, c.UserID, time.Since(c.ConnectedAt))
		}
	}
	ctx, cancel := context.WithTimeout(ctx, Limit)
	defer cancel()
	switch err := b.Shutdown(ctx); {
	case errors.Is(err, context.DeadlineExceeded):
		t.Errorf("bridgetest: shut the Bridge down: %v: a handler or a callback ignores the end of its context", err)
	case err != nil:
		t.Errorf("bridgetest: shut the Bridge down: %v", err)
	}
}

// conclude waits until no connection is open; false after Limit.
func conclude(b *bridge.Bridge) bool {
	late := time.NewTimer(Limit)
	defer late.Stop()
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for b.Stats().Conns > 0 {
		select {
		case <-again.C:
		case <-late.C:
			return false
		}
	}
	return true
}
