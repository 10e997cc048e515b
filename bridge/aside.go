package bridge

import (
	"log/slog"
	"sync"
	"time"
)

// maxAside is how many lines may wait for a slow Handler.
const maxAside = 1024

// aside writes the log lines of goroutines that others wait for: those of the pools, of the clock and of the store. One goroutine writes them, in their order, for as long as
// there are any, so a Handler that hangs delays lines and nothing else. When maxAside wait, more are dropped, and their number is logged once the Handler goes on.
type aside struct {
	mu      sync.Mutex
	queue   []func()
	busy    bool
	dropped int
}

// logAside has a line written soon. It waits for nothing. False: the line is dropped.
func (b *Bridge) logAside(line func()) bool {
	a := &b.lines
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.queue) >= maxAside {
		a.dropped++
		return false
	}
	a.queue = append(a.queue, line)
	if !a.busy {
		a.busy = true
		b.work.Go(b.writeAside)
	}
	return true
}

// logInTime is logAside for what is to be in the log before the caller goes on, as far as the Handler can do that within closeGrace.
func (b *Bridge) logInTime(line func()) {
	written := make(chan struct{})
	if !b.logAside(func() { defer close(written); line() }) {
		return
	}
	patience := time.NewTimer(closeGrace)
	defer patience.Stop()
	select {
	case <-written:
	case <-patience.C:
	}
}

func (b *Bridge) writeAside() {
	for {
		some := b.lines.take()
		if some == nil {
			return
		}
		for _, line := range some {
			b.writeLine(line)
			if n := b.lines.droppedLines(); n > 0 {
				b.opts.Logger.Warn("log lines were dropped: the Handler is too slow", slog.Int("lines", n))
			}
		}
	}
}

// writeLine writes one line. The panic of a Handler can't be logged.
func (b *Bridge) writeLine(line func()) {
	defer func() {
		if recover() != nil {
			b.events.Emit(Failure{Doing: "write a log line: the Handler panicked", Err: ErrPanicked})
		}
	}()
	line()
}

// take returns what waits; nil, and the writer is to end, when that is nothing.
func (a *aside) take() []func() {
	a.mu.Lock()
	defer a.mu.Unlock()
	some := a.queue
	a.queue = nil
	a.busy = len(some) > 0
	return some
}

// droppedLines returns how many lines have been dropped since it was last asked.
func (a *aside) droppedLines() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := a.dropped
	a.dropped = 0
	return n
}
