// Package background runs the goroutines of a store that outlive a call: nodes and the renewal of
// locks on users. They end with the store.
package background

import (
	"context"
	"sync"
)

// Group is a set of goroutines that end together. New makes one.
type Group struct {
	ctx    context.Context
	cancel context.CancelFunc
	mu     sync.Mutex
	closed bool
	wg     sync.WaitGroup
}

// New returns an empty group.
func New() *Group {
	g := &Group{}
	g.ctx, g.cancel = context.WithCancel(context.Background())
	return g
}

// Context returns a context that Close cancels.
func (g *Group) Context() context.Context { return g.ctx }

// Go starts do in a goroutine that must end when Context does. It returns false if the group is
// closed.
func (g *Group) Go(do func()) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.closed {
		g.wg.Go(do)
	}
	return !g.closed
}

// Close cancels the context and waits until all goroutines have ended.
func (g *Group) Close() {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	g.cancel()
	g.wg.Wait()
}
