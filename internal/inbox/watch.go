package inbox

import (
	"context"
	"errors"
)

// Watch has the inbox read from now on, unless it or the handler reads, it is full, or the
// connection has ended. It reports whether it has begun.
func (in *Inbox) Watch() (started bool) {
	in.mu.Lock()
	if started = in.neglected() && in.src.Open(); started {
		in.watching = true
	}
	in.mu.Unlock()
	if started {
		in.src.Go(in.watch)
	}
	return started
}

// neglected reports whether the connection is not being read, although the inbox could. The lock is
// held.
func (in *Inbox) neglected() bool {
	return in.readers == 0 && !in.watching && in.err == nil && (in.size < maxBytes || in.refuses) && !in.foreign.Load()
}

// watch reads in place of the handler, until that does, or the connection ends.
func (in *Inbox) watch() {
	var err error
	defer func() { in.leave(err) }() // also if Receive panics
	for goOn := true; goOn; {
		var m Message
		if m, err = in.src.Receive(context.Background()); err != nil {
			return
		}
		goOn = in.keep(m)
	}
}

// keep adds a message to those that wait. It reports whether to read on.
func (in *Inbox) keep(m Message) bool {
	in.mu.Lock()
	if in.refuses {
		in.mu.Unlock()
		in.src.Refuse()
		return false
	}
	defer in.mu.Unlock()
	in.waiting = append(in.waiting, m)
	in.size += len(m.Data) + overhead
	return in.size < maxBytes && !in.interrupted && !in.foreign.Load()
}

// leave ends watch, with the error that ended it.
func (in *Inbox) leave(err error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.watching, in.interrupted = false, false
	in.src.EndInterrupt()
	if err != nil && !errors.Is(err, ErrInterrupted) {
		in.err = err
	}
	if in.left != nil {
		close(in.left)
		in.left = nil
	}
}

// review reports whether the connection must be reviewed again: it has no reader now, but was being
// read at the previous review, or there was none. If it has had no reader since the previous
// review, the inbox begins to read.
func (in *Inbox) review() (again bool) {
	in.mu.Lock()
	again = in.neglected() && in.src.Open()
	watch := again && in.seen && in.turn == in.turns
	if watch {
		in.watching, again = true, false
	}
	in.seen, in.turn = true, in.turns
	if !again {
		in.listed.Store(false) // under the lock, so that the next read lists it again
	}
	in.mu.Unlock()
	if watch {
		in.src.Go(in.watch)
	}
	return again
}
