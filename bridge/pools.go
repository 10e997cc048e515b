package bridge

import (
	"context"

	"github.com/sessionbridge/sessionbridge/internal/workers"
)

// pools run the Bridge's own tasks. Each kind has a pool of its own, so that tasks that hang delay
// no other kind: a close that the peer doesn't answer takes a second, and a store may take as long
// as Options.StoreTimeout. A task costs some kilobytes while it waits.
type pools struct {
	background *workers.Pool // lookups in the store, cleanups, saves
	closes     *workers.Pool // of connections
	remoteEnds *workers.Pool // ends of sessions that other nodes have reported
	activity   *workers.Pool // to be recorded in the store
}

func newPools(g *workers.Group) pools {
	return pools{
		background: g.Pool(64),
		closes:     g.Pool(16384),
		remoteEnds: g.Pool(1024),
		activity:   g.Pool(64),
	}
}

// taskPanicked reports a task of the Bridge that has panicked.
func (b *Bridge) taskPanicked(value any) {
	b.panicked(context.Background(), "background task panicked", "run a background task: it panicked", "", value)
}
