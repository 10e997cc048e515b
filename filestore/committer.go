package filestore

import (
	"cmp"
	"errors"
	"runtime"
	"time"
)

// committer makes changes durable: all those that wait at a time, with one write and one sync. It
// is one goroutine, so that compare-and-set needs no locks. Long work is done by the callers
// before, or by the checkpointer after.
type committer struct {
	stop chan struct{} // closed to stop it, after the queue was closed

	group   []*op    // to be answered when the group is durable
	staged  []staged // to be published then
	durable bool     // a caller waits for the sync of the group

	dirty   map[*space]struct{} // the spaces with changes in their active overlay
	changed int64               // about the number of bytes of those overlays

	full    fullness
	refused bool  // changes are, because the log can't be rotated
	wanted  int64 // bytes that the log had no space for

	syncDue, checkpointDue, retryDue <-chan time.Time // of timers; nil: it doesn't run
}

func (e *engine) runCommitter() {
	c := &e.committer
	defer close(e.checkpointer.work)
	var batch, rest []*op
	for stopping := false; ; {
		select {
		case <-e.queue.wake:
		case <-c.stop:
			stopping = true
		case <-c.syncDue:
			e.syncNow()
		case <-c.checkpointDue:
			e.checkpointSoon()
		case <-c.retryDue:
			e.retryFull()
		}
		for {
			runtime.Gosched() // callers that were just answered send their next op: the group becomes larger
			if batch = e.queue.drain(batch); len(batch) == 0 {
				break
			}
			for rest = batch; len(rest) > 0; {
				rest = e.commit(rest)
			}
		}
		if stopping {
			if len(c.dirty) > 0 {
				if err := e.rotate(); err != nil && e.failed() == nil { // the next Open recovers it from the log
					_ = e.fail(err)
				}
			}
			return
		}
	}
}

// commit makes a group of the first ops and returns the others.
func (e *engine) commit(waiting []*op) (rest []*op) {
	c := &e.committer
	n, size := 0, 0
	for n < len(waiting) && waiting[n].kind != opCheckpoint && size < e.opts.groupLimit() {
		size += waiting[n].size()
		n++
	}
	if n == 0 {
		e.applyCheckpoint(waiting[0])
		return waiting[1:]
	}
	var noSpace error
	if !e.log.Fits(size) || c.changed > e.opts.segmentLimit() {
		if noSpace = e.rotate(); noSpace != nil && e.failed() == nil {
			c.refused = true
			noSpace = e.logFailed(noSpace, c.wanted)
		}
	}
	e.throttle(size)
	before, changed := e.log.Savepoint(), c.changed
	e.log.Begin()
	c.group, c.staged, c.durable = c.group[:0], c.staged[:0], false
	for _, o := range waiting[:n] {
		if !o.take() {
			continue
		}
		if err := cmp.Or(e.failed(), noSpace); err != nil {
			o.answer(outcome{err: err})
			continue
		}
		e.apply(o)
	}
	err := e.logFailed(e.writeGroup(), e.log.GroupSize())
	switch {
	case err == nil && len(c.staged) > 0:
		c.refused = false
		c.full.clear()
	case errors.Is(err, ErrFull):
		e.log.Rollback(before)
		c.changed = changed
	}
	e.finish(err)
	return waiting[n:]
}

// logFailed returns the error for callers after an error of the log. If the log has no space,
// retryFull is called until it has the wanted number of bytes.
func (e *engine) logFailed(err error, wanted int64) error {
	c := &e.committer
	switch {
	case err == nil:
		return nil
	case !isFull(err):
		return e.fail(err)
	}
	c.wanted = wanted
	c.retryDue = time.After(fullRetry)
	return c.full.set(err)
}

// writeGroup writes the group, and syncs it if a caller waits for that.
func (e *engine) writeGroup() error {
	c := &e.committer
	if len(c.staged) == 0 {
		return nil
	}
	if err := e.log.Write(); err != nil {
		return err
	}
	if c.durable && e.opts.SyncEvery == 0 {
		return e.log.Sync()
	}
	if c.durable && c.syncDue == nil {
		c.syncDue = time.After(e.opts.SyncEvery)
	}
	return nil
}

// finish publishes the versions of the group and answers its callers. If the group has failed, its
// versions are dropped.
func (e *engine) finish(err error) {
	c := &e.committer
	if err != nil {
		for i := range c.staged {
			c.staged[i].slot.pending = nil
		}
		for _, o := range c.group {
			o.answer(outcome{err: err})
		}
		return
	}
	for i := range c.staged { // first: a session that is visible must be found by its user and client
		if s := &c.staged[i]; s.v.value != nil && !s.sameOwner {
			s.overlay.indexOwner(s.key, s.v)
		}
	}
	for i := range c.staged {
		s := &c.staged[i]
		s.slot.publish()
		if s.v.value != nil { // after it: dueBy removes an entry without a visible version
			s.overlay.indexDue(s.key, s.old, s.v)
		}
	}
	for _, o := range c.group {
		o.done <- struct{}{}
	}
	if len(c.dirty) > 0 && c.checkpointDue == nil {
		c.checkpointDue = time.After(e.opts.CheckpointEvery)
	}
}

// syncNow syncs the changes that were acknowledged before their sync.
func (e *engine) syncNow() {
	e.committer.syncDue = nil
	if e.failed() == nil && e.logFailed(e.log.Sync(), 0) == nil { // the log has a copy, and writes it again
		e.committer.full.clear()
	}
}

// retryFull tries whether the disk has space again.
func (e *engine) retryFull() {
	c := &e.committer
	if e.failed() != nil || c.full.failed() == nil {
		return
	}
	var err error
	if c.refused {
		err = e.rotate()
	} else {
		err = e.log.Sync()
	}
	if err == nil {
		err = e.log.Reserve(c.wanted)
	}
	if e.logFailed(err, c.wanted) == nil {
		c.refused = false
		c.full.clear()
	}
}
