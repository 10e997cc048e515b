package filestore

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	bolt "go.etcd.io/bbolt"
)

// checkpointer brings what was changed into the database, one checkpoint at a time, while changes go on. It is a goroutine.
type checkpointer struct {
	work chan *checkpoint
	busy exclusive // while a checkpoint is under way, or somebody keeps one from being made
	done chan struct{}
	last *checkpoint // the committer's
	log  position    // the database has everything that the log says before it

	full  fullness
	stuck chan struct{} // gets a value when a checkpoint finds no room

	started  time.Time     // the last one; the committer's
	progress atomic.Uint64 // of it, in thousandths
}

// checkpoint is what is to be brought into the database.
type checkpoint struct {
	frozen   map[*space]*overlay
	at       position // the log says nothing else before it
	finished chan struct{}
	stuck    chan struct{} // closed when it has found no room; it goes on when there is
}

// begin starts a checkpoint. The caller has locked busy; it is unlocked when the checkpoint is finished.
func (c *checkpointer) begin(cp *checkpoint) {
	cp.finished, cp.stuck = make(chan struct{}), make(chan struct{})
	c.last, c.started = cp, time.Now()
	c.progress.Store(0)
	c.work <- cp
}

// turn has the log go on in its other segment, and a checkpoint of all that is before. If there is a checkpoint under way it
// waits: that is what keeps the log from growing. When that has no room, or the log, it returns ErrFull.
func (e *engine) turn() error {
	c := &e.checkpointer
	for {
		if err := c.full.failed(); err != nil {
			return err
		}
		select {
		case c.busy <- struct{}{}:
			return e.turnNow()
		case <-c.stuck:
		}
	}
}

// turnNow is turn for whoever has locked busy.
func (e *engine) turnNow() error {
	c := &e.committer
	err := e.failed()
	if err == nil {
		err = c.log.turn()
		switch {
		case isFull(err):
			c.wanted = groupHeader
			c.retryTimer.Reset(fullRetry)
			err = e.full(&c.full, logFull, err)
		case err != nil:
			err = e.fail(err)
		}
	}
	if err != nil {
		e.checkpointer.busy.unlock()
		return err
	}
	cp := &checkpoint{at: c.log.active.base, frozen: make(map[*space]*overlay, len(c.dirty))}
	for sp := range c.dirty {
		cp.frozen[sp] = sp.freeze()
	}
	clear(c.dirty)
	c.changed, c.checkpointDue = 0, false
	c.checkpointTimer.Stop()
	e.checkpointer.begin(cp)
	return nil
}

// checkpointSoon begins a checkpoint if none is under way; else it asks again later.
func (e *engine) checkpointSoon() {
	e.committer.checkpointDue = false
	if e.failed() != nil {
		return
	}
	if e.checkpointer.busy.tryLock() && e.turnNow() == nil {
		return
	}
	e.committer.checkpointDue = true
	e.committer.checkpointTimer.Reset(e.opts.CheckpointEvery)
}

// applyCheckpoint begins a checkpoint of all that is stored now and answers with what says when it has finished.
func (e *engine) applyCheckpoint(o *op) {
	if !o.state.CompareAndSwap(opWaiting, opTaken) {
		return
	}
	var out outcome
	if len(e.committer.dirty) > 0 || o.always {
		out.err = e.turn()
	}
	out.err = cmp.Or(e.failed(), out.err)
	if last := e.checkpointer.last; last != nil {
		out.finished, out.stuck = last.finished, last.stuck
	}
	o.answer(out)
}

// flush waits until all that is stored now is in the database, unless that has no room: ErrFull.
func (e *engine) flush(ctx context.Context, always bool) error {
	o := newOp(opCheckpoint, e.space(""), "")
	o.always = always
	out := e.do(ctx, o)
	if out.err != nil {
		return out.err
	}
	if out.finished != nil {
		select {
		case <-out.finished:
		case <-out.stuck:
			return cmp.Or(e.failed(), e.checkpointer.full.failed())
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return e.failed()
}

// lastCheckpoint is made when the store is closed.
func (e *engine) lastCheckpoint() {
	if len(e.committer.dirty) == 0 {
		return
	}
	if err := e.turn(); err != nil && e.failed() == nil { // the log keeps it for the next Open
		_ = e.fail(err)
	}
}

func (e *engine) runCheckpointer() {
	c := &e.checkpointer
	defer close(c.done)
	for cp := range c.work {
		if e.failed() == nil {
			if err := e.checkpointUntilDone(cp); err != nil {
				_ = e.fail(fmt.Errorf("checkpoint of %s: %w", e.path, err))
			}
		}
		c.progress.Store(thousandths)
		cp.frozen = nil // the committer remembers the last one
		close(cp.finished)
		c.busy.unlock()
	}
}

// checkpointUntilDone makes the checkpoint, again and again as long as it is for want of room that it can't. When the store is being closed it gives up.
func (e *engine) checkpointUntilDone(cp *checkpoint) error {
	c := &e.checkpointer
	err := e.checkpoint(cp)
	for stuck := false; isFull(err); {
		_ = e.full(&c.full, databaseFull, err)
		if !stuck {
			stuck = true
			close(cp.stuck)
		}
		select {
		case c.stuck <- struct{}{}:
		default:
		}
		retry := time.NewTimer(fullRetry)
		select {
		case <-retry.C:
		case <-e.committer.stop:
			retry.Stop()
			return err
		}
		// What a transaction has written may be read, though a sync has failed that was to make it durable.
		if err = e.resettle(); err == nil {
			err = e.checkpoint(cp)
		}
	}
	if err == nil {
		e.room(&c.full, databaseFull)
	}
	return err
}

const databaseFull = "write the database"

const thousandths = 1000

// pace makes changes wait a little if the log would be full before the checkpoint is finished. Without, they would be fast
// until then, and all wait until it is finished.
func (e *engine) pace(size int) {
	c, cp := &e.committer, &e.checkpointer
	done := float64(cp.progress.Load()) / thousandths
	if done == 1 || cp.last == nil || cp.full.failed() != nil {
		return
	}
	limit := float64(e.segmentLimit())
	used := max(float64(c.log.active.end-c.log.active.base), float64(c.changed)) / limit
	if used < max(done, 0.1) {
		return
	}
	left := time.Since(cp.started).Seconds() * (1 - done) / max(done, 0.01) // until it is finished
	time.Sleep(min(maxPause, time.Duration(left*float64(size)/limit/(1-min(used, 0.99))*float64(time.Second))))
}

// maxPause is how long a change waits at most as long as the log has room for it.
const maxPause = 20 * time.Millisecond

// item is a session that a checkpoint brings into the database.
type item struct {
	space *space
	key   []byte
	*version
	*base
}

// checkpoint brings it into the database.
func (e *engine) checkpoint(cp *checkpoint) error {
	var items []item
	for sp, frozen := range cp.frozen {
		frozen.all(func(key string, s *slot, v *version) { items = append(items, item{sp, []byte(key), v, &s.base}) })
	}
	slices.SortFunc(items, func(a, b item) int {
		if a.space != b.space {
			return bytes.Compare(a.space.buckets.sessions, b.space.buckets.sessions)
		}
		return bytes.Compare(a.key, b.key)
	})
	w := homeWriter{items: items}
	if err := w.findChanges(e.home); err != nil {
		return err
	}
	hd := head{open: true, id: e.committer.log.id, log: e.checkpointer.log}
	total, indexes := w.left(), len(w.changes) > 0
	for first := true; first || !w.done(); first = false {
		err := e.home.update(func(tx *bolt.Tx) error {
			if err := w.write(tx); err != nil {
				return err
			}
			switch {
			case w.done():
				hd.log, hd.midway = cp.at, false
			case first && indexes:
				hd.midway = true
			default:
				return nil
			}
			return hd.put(tx)
		})
		if err != nil {
			return err
		}
		e.checkpointer.progress.Store(uint64(min(thousandths-1, thousandths*(total-w.left())/max(1, total)))) //nolint:gosec // not negative
	}
	e.checkpointer.log = cp.at
	e.epoch.Add(1) // before the overlays go: see current
	for sp := range cp.frozen {
		sp.thaw()
	}
	return nil
}
