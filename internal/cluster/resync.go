package cluster

import (
	"sync/atomic"

	"github.com/sessionbridge/sessionbridge/internal/workers"
)

// resyncs runs one resync at a time. A request that comes while one is running makes another one
// follow it; further requests are part of that one.
type resyncs struct {
	group     *workers.Group
	pool      *workers.Pool // one goroutine
	run       func(superseded func() bool)
	requested atomic.Bool
}

func (r *resyncs) request() {
	if r.requested.Swap(true) {
		return
	}
	r.pool.Go(func() {
		r.requested.Store(false)
		r.run(r.superseded)
	})
}

func (r *resyncs) superseded() bool { return r.requested.Load() || r.group.Stopped() }
