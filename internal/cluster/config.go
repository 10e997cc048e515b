package cluster

import (
	"context"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/clock"
	"github.com/sessionbridge/sessionbridge/internal/workers"
	"github.com/sessionbridge/sessionbridge/store"
)

// Config is what a Node needs from its owner. All fields are set.
type Config struct {
	StoreTimeout time.Duration // limits each call of the store
	Workers      *workers.Group
	Clock        *clock.Clock

	// Changed and Asked are called one at a time, in the order in which the store reports, and must
	// not block. Changed gets every change but ChangeMessage and ChangeMissed. A Question that
	// Asked doesn't Answer, then or later, makes this node a silent one.
	Changed func(store.Change)
	Asked   func(*Question)

	// Subscribed is called after a subscription in the background: changes before it may have been
	// missed.
	Subscribed func(Topic)
	// Resync checks everything that is known here, because notifications may have been missed. It
	// may stop early when superseded returns true: it will run again, or the Workers are stopped.
	Resync func(superseded func() bool)
	// Suspect and GiveUp must not block. Suspect is called when a part of the store has been silent
	// since that time, before a Resync; GiveUp every second while all of it is silent for too long.
	Suspect func(since time.Time)
	GiveUp  func()

	// Used returns how often the session of a client has been used. A client that is used keeps its
	// place among those that were seen last.
	Used func(clientID string) uint64
	// Failed reports what the Node carries on without.
	Failed func(ctx context.Context, doing, sessionID string, err error)
}
