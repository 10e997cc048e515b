package bridge

import (
	"context"
	"log/slog"
	"runtime/debug"
	"sync"
)

// maxWorkers is how many background tasks run at once. A close that its peer doesn't answer keeps one for a second.
const maxWorkers = 1024

// work owns the goroutines of a Bridge: the handlers of connections, and background tasks from a bounded pool. It knows
// how many there are, so that Shutdown can wait for them.
type work struct {
	mu      sync.Mutex
	stopped bool          // no new handlers
	active  int           // handlers and workers
	idle    chan struct{} // closed when stopped and nothing is active; made by wait
	workers int
	tasks   []func()
	logger  *slog.Logger
}

// handler runs fn as the handler of a connection; false when the Bridge is shutting down.
func (w *work) handler(fn func()) bool {
	w.mu.Lock()
	if w.stopped {
		w.mu.Unlock()
		return false
	}
	w.active++
	w.mu.Unlock()
	go func() {
		defer w.leave()
		fn()
	}()
	return true
}

// stopping reports whether the Bridge takes no new connections.
func (w *work) stopping() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.stopped
}

// background runs task soon, also during a shutdown.
func (w *work) background(task func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.workers == maxWorkers {
		w.tasks = append(w.tasks, task)
		return
	}
	w.workers++
	w.active++
	go w.worker(task)
}

func (w *work) worker(task func()) {
	defer w.leave()
	for task != nil {
		w.protect(task)
		task = w.next()
	}
}

// next returns another task, or ends the worker.
func (w *work) next() func() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.tasks) == 0 {
		w.tasks = nil
		w.workers--
		return nil
	}
	task := w.tasks[0]
	w.tasks[0] = nil
	w.tasks = w.tasks[1:]
	return task
}

func (w *work) protect(task func()) {
	defer func() {
		if p := recover(); p != nil {
			w.logger.Error("background task panicked", slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
		}
	}()
	task()
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
