package bridge

import (
	"context"
	"sync"
)

// How many tasks of a kind run at once. A close that its peer doesn't answer takes a second, and a ping ten, so there are many of these, for whoever has thousands
// of sockets on which nobody answers must not hold up anybody else; the Bridge's own bookkeeping must not wait behind them. Nor must the ends of sessions that other
// nodes tell of wait for looks at the store, which may hang, or those looks for activity that is
// recorded, logins that others are told of, and what the node would like to hold. They cost some kilobytes each while they wait.
const (
	maxClosing    = 16384
	maxPings      = 16384
	maxBackground = 64
	maxTold       = 1024
	maxHolds      = 64
	maxAnnounces  = 64
	maxActivity   = 64
)

// work owns the goroutines of a Bridge: the handlers of connections, and background tasks from bounded pools. It knows
// how many there are, so that Shutdown can wait for them.
type work struct {
	mu      sync.Mutex
	stopped bool          // no new handlers
	active  int           // handlers and workers
	idle    chan struct{} // closed when nothing is active; made by wait
	closes  pool
	pings   pool
	tasks   pool
	tells   pool
	holds   pool
	news    pool
	marks   pool

	panicked func(value any) // reports the panic of a task, which has been recovered
}

// pool is a bounded number of workers, and what waits for them.
type pool struct {
	most, workers int
	queue         []func()
}

func (w *work) init(panicked func(value any)) {
	w.closes.most, w.pings.most, w.tasks.most, w.tells.most, w.holds.most = maxClosing, maxPings, maxBackground, maxTold, maxHolds
	w.news.most, w.marks.most, w.panicked = maxAnnounces, maxActivity, panicked
}

// handler runs fn as the handler of a connection; false when the Bridge is shutting down.
func (w *work) handler(fn func()) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopped {
		return false
	}
	w.start(fn)
	return true
}

// admit counts the caller among what is running, until it calls leave: a handshake, which a shutdown waits for. False when the Bridge is shutting down.
func (w *work) admit() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopped {
		return false
	}
	w.active++
	return true
}

// stopping reports whether the Bridge takes no new connections.
func (w *work) stopping() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.stopped
}

// background runs a task of the Bridge's own soon, closing one that closes a connection, also during a shutdown.
func (w *work) background(task func()) { w.pooled(&w.tasks, task) }
func (w *work) closing(task func())    { w.pooled(&w.closes, task) }
func (w *work) pinging(task func())    { w.pooled(&w.pings, task) }
func (w *work) telling(task func())    { w.pooled(&w.tells, task) }
func (w *work) holding(task func())    { w.pooled(&w.holds, task) }
func (w *work) announcing(task func()) { w.pooled(&w.news, task) }
func (w *work) recording(task func())  { w.pooled(&w.marks, task) }

// task runs what an application wrote, which may hang, in a goroutine of its own.
func (w *work) task(task func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.start(func() { w.protect(task) })
}

func (w *work) pooled(p *pool, task func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if p.workers == p.most {
		p.queue = append(p.queue, task)
		return
	}
	p.workers++
	w.start(func() {
		for task != nil {
			w.protect(task)
			task = w.next(p)
		}
	})
}

// start needs the lock.
func (w *work) start(fn func()) {
	w.active++
	go func() {
		defer w.leave()
		fn()
	}()
}

// next returns another task, or ends the worker.
func (w *work) next(p *pool) func() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(p.queue) == 0 {
		p.queue = nil
		p.workers--
		return nil
	}
	task := p.queue[0]
	p.queue[0] = nil
	p.queue = p.queue[1:]
	return task
}

func (w *work) protect(task func()) {
	defer func() {
		if p := recover(); p != nil {
			w.panicked(p)
		}
	}()
	task()
}

// enter counts the calling goroutine until it leaves.
func (w *work) enter() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.active++
}

func (w *work) leave() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.active--; w.active == 0 && w.idle != nil {
		close(w.idle)
		w.idle = nil
	}
}

// stop refuses new handlers from now on.
func (w *work) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stopped = true
}

// wait returns when nothing is running any more, or ctx ends.
func (w *work) wait(ctx context.Context) error {
	w.mu.Lock()
	if w.active == 0 {
		w.mu.Unlock()
		return nil
	}
	if w.idle == nil {
		w.idle = make(chan struct{})
	}
	idle := w.idle
	w.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
