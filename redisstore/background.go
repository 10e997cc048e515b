package redisstore

import (
	"context"
	"sync"
	"time"
)

// background is what goes on without a call: nodes, and locks on users. It ends with the store.
type background struct {
	ctx  context.Context // ends when the store is closed
	stop context.CancelFunc
	mu   sync.Mutex
	over bool
	work sync.WaitGroup
}

func newBackground() *background {
	b := &background{}
	b.ctx, b.stop = context.WithCancel(context.Background())
	return b
}

// begin runs a goroutine that close waits for; false: the store is closed.
func (b *background) begin(do func()) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.over {
		b.work.Go(do)
	}
	return !b.over
}

// close ends everything and returns when it has ended.
func (b *background) close() {
	b.mu.Lock()
	b.over = true
	b.mu.Unlock()
	b.stop()
	b.work.Wait()
}

// wait returns after a time, or when the context has ended: false.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// pause is how long to wait before something that failed is tried again: longer each time, up to a second.
type pause struct{ next time.Duration }

const (
	shortest = 20 * time.Millisecond
	longest  = time.Second
)

func (p *pause) wait(ctx context.Context) bool {
	d := max(p.next, shortest)
	p.next = min(2*d, longest)
	return wait(ctx, d)
}

// over begins anew, after something has gone well for a while.
func (p *pause) over() { p.next = 0 }
