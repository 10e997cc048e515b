package workers

import (
	"context"
	"sync"
)

// Group owns goroutines. It is safe for concurrent use. The zero value is not usable: use New.
type Group struct {
	panicked func(value any)

	mu      sync.Mutex
	stopped bool
	active  int           // goroutines and callers that have entered
	idle    chan struct{} // closed when active becomes 0; nil while no Wait needs it
}

// New returns a Group that reports panics of tasks to panicked, on the goroutine that has recovered
// them.
func New(panicked func(value any)) *Group { return &Group{panicked: panicked} }

// Go runs task in a goroutine, also after Stop. A panic is recovered and reported.
func (g *Group) Go(task func()) {
	g.Enter()
	go func() {
		defer g.Leave()
		g.Protect(task)
	}()
}

// TryGo runs fn in a goroutine; false, and nothing is done, after Stop. A panic is not recovered.
func (g *Group) TryGo(fn func()) bool {
	if !g.TryEnter() {
		return false
	}
	go func() {
		defer g.Leave()
		fn()
	}()
	return true
}

// Protect calls task. A panic is recovered and reported.
func (g *Group) Protect(task func()) {
	defer func() {
		if p := recover(); p != nil {
			g.panicked(p)
		}
	}()
	task()
}

// Enter counts the caller among what is running until it calls Leave, also after Stop.
func (g *Group) Enter() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.active++
}

// TryEnter is Enter; false, and nothing is done, after Stop.
func (g *Group) TryEnter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.stopped {
		return false
	}
	g.active++
	return true
}

// Leave ends what Enter or TryEnter has begun.
func (g *Group) Leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.active--; g.active == 0 && g.idle != nil {
		close(g.idle)
		g.idle = nil
	}
}

// Stop makes TryGo and TryEnter refuse from now on.
func (g *Group) Stop() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.stopped = true
}

// Stopped reports whether Stop has been called.
func (g *Group) Stopped() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.stopped
}

// Wait returns nil as soon as nothing is running, or the cause of ctx if that ends first. Work that
// may go on must be stopped first: what begins after Wait has returned is not waited for.
func (g *Group) Wait(ctx context.Context) error {
	g.mu.Lock()
	if g.active == 0 {
		g.mu.Unlock()
		return nil
	}
	if g.idle == nil {
		g.idle = make(chan struct{})
	}
	idle := g.idle
	g.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
