package filestore

import (
	"cmp"
	"errors"
	"runtime"
	"time"

	"github.com/sessionbridge/sessionbridge/filestore/internal/wal"
)

// committer makes changes durable: all those that wait at a time, with one write and one sync. It
// is one goroutine, so that compare-and-set needs no locks. Whatever takes long is done by the
// callers before, or by the checkpointer after.
type committer struct {
	stop chan struct{} // closed to stop it, after the queue was closed
	done chan struct{} // closed when it has stopped

	group   []*op    // to be answered when the group is durable
	staged  []staged // to be published then
	durable bool     // a caller waits for the sync of the group

	dirty   map[*space]struct{} // the spaces with changes in their active overlay
	changed int64               // about the number of bytes of those overlays

	syncTimer, checkpointTimer *time.Timer
	syncDue, checkpointDue     bool // the timers run

	full       fullness
	refused    bool        // changes are, because the log can't be rotated
	wanted     int64       // bytes that the log had no space for
	retryTimer *time.Timer // runs while the disk is full
}

func (c *committer) start(e *engine) {
	c.stop, c.done = make(chan struct{}), make(chan struct{})
	c.dirty = make(map[*space]struct{})
	c.full.doing, c.full.log, c.full.path = "write the log", e.opts.Logger, e.path
	c.syncTimer, c.checkpointTimer, c.retryTimer = newStoppedTimer(), newStoppedTimer(), newStoppedTimer()
}

func newStoppedTimer() *time.Timer {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return t
}

func (e *engine) runCommitter() {
	c := &e.committer
	defer close(c.done)
	defer c.syncTimer.Stop()
	defer c.checkpointTimer.Stop()
	defer c.retryTimer.Stop()
	var batch, rest []*op
	for stopping := false; ; {
		select {
		case <-e.queue.wake:
		case <-c.stop:
			stopping = true
		case <-c.syncTimer.C:
			e.syncNow()
		case <-c.checkpointTimer.C:
			e.checkpointSoon()
		case <-c.retryTimer.C:
			e.retryFull()
		}
		for {
			// Callers that were just answered get time to send their next op: the group becomes
			// larger.
			runtime.Gosched()
			batch = e.queue.drain(batch)
			if len(batch) == 0 {
				break
			}
			for rest = batch; len(rest) > 0; {
				rest = e.commit(rest)
			}
		}
		if stopping {
			e.lastCheckpoint()
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
			noSpace = c.setFull(noSpace)
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
	err := e.writeGroup()
	switch {
	case err == nil && e.log.Entries() > 0:
		c.refused = false
		c.full.clear()
	case isFull(err):
		c.wanted = e.log.GroupSize()
		e.log.Rollback(before)
		c.changed = changed
		err = c.setFull(err)
	}
	e.finish(err)
	return waiting[n:]
}

// setFull records that the log has no space, and has retryFull called.
func (c *committer) setFull(cause error) error {
	c.retryTimer.Reset(fullRetry)
	return c.full.set(cause)
}

// writeGroup writes the group, and syncs it if a caller waits for that.
func (e *engine) writeGroup() error {
	c := &e.committer
	if e.log.Entries() == 0 {
		return nil
	}
	if err := e.log.Write(); err != nil {
		return err
	}
	if e.log.Unsynced() > wal.UnsyncedLimit {
		return e.log.Sync()
	}
	if !c.durable {
		return nil
	}
	if e.opts.SyncEvery > 0 {
		if !c.syncDue {
			c.syncDue = true
			c.syncTimer.Reset(e.opts.SyncEvery)
		}
		return nil
	}
	return e.log.Sync()
}

// finish publishes the versions of the group and answers its callers. If the group has failed, its
// versions are dropped.
func (e *engine) finish(err error) {
	c := &e.committer
	if err != nil {
		if !errors.Is(err, ErrFull) {
			err = e.fail(err)
		}
		for i := range c.staged {
			c.staged[i].slot.pending = nil
		}
		for _, o := range c.group {
			o.answer(outcome{err: err})
		}
		return
	}
	for i := range c.staged { // first: a session that is visible must be found by its user and client
		if s := &c.staged[i]; s.v.value != nil {
			s.overlay.indexNames(s.key, s.old, s.v, s.sameUser, s.sameClient)
		}
	}
	for i := range c.staged {
		c.staged[i].slot.publish()
	}
	for i := range c.staged { // last: dueBy removes an entry without a visible version
		if s := &c.staged[i]; s.v.value != nil {
			s.overlay.indexDue(s.key, s.old, s.v)
		}
	}
	for _, o := range c.group {
		o.done <- struct{}{}
	}
	if len(c.dirty) > 0 && !c.checkpointDue {
		c.checkpointDue = true
		c.checkpointTimer.Reset(e.opts.CheckpointEvery)
	}
}

// syncNow syncs the changes that were acknowledged before their sync.
func (e *engine) syncNow() {
	c := &e.committer
	c.syncDue = false
	if e.failed() != nil {
		return
	}
	switch err := e.log.Sync(); {
	case isFull(err): // the log has a copy, and writes it again when there is space
		c.wanted = 0
		_ = c.setFull(err)
	case err != nil:
		_ = e.fail(err)
	default:
		c.full.clear()
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
	switch {
	case err == nil:
		c.refused = false
		c.full.clear()
	case isFull(err):
		c.retryTimer.Reset(fullRetry)
	default:
		_ = e.fail(err)
	}
}
