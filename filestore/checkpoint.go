package filestore

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/sessionbridge/sessionbridge/filestore/internal/wal"
	"github.com/sessionbridge/sessionbridge/internal/ctxlock"
)

// checkpointer writes the changes to the database, one checkpoint at a time, while new changes are
// made. It is one goroutine.
type checkpointer struct {
	work chan *checkpoint
	busy ctxlock.Lock // locked during a checkpoint, or while none may be made
	done chan struct{}
	last *checkpoint  // the committer's
	log  wal.Position // the database has all changes that the log has before it

	full  fullness
	stuck chan struct{} // receives a value when a checkpoint finds no space

	started  time.Time     // of the last checkpoint; the committer's
	progress atomic.Uint64 // of the last checkpoint, in thousandths
}

// checkpoint is a set of changes that is written to the database.
type checkpoint struct {
	frozen   map[*space]*overlay
	at       wal.Position // the changes are all that the log has before it
	finished chan struct{}
	stuck    chan struct{} // closed when there is no space; the checkpoint continues when there is
}

func (c *checkpointer) start(e *engine) {
	c.work, c.done = make(chan *checkpoint, 1), make(chan struct{})
	c.busy, c.stuck = ctxlock.New(), make(chan struct{}, 1)
	c.full.doing, c.full.log, c.full.path = "write the database", e.opts.Logger, e.path
}

// begin starts a checkpoint. The caller has locked busy, which is unlocked at its end.
func (c *checkpointer) begin(cp *checkpoint) {
	cp.finished, cp.stuck = make(chan struct{}), make(chan struct{})
	c.last, c.started = cp, time.Now()
	c.progress.Store(0)
	c.work <- cp
}

// rotate continues the log in its other file, and starts a checkpoint of all earlier changes. It
// waits for the checkpoint under way, which limits the size of the log. If that one, or the log,
// has no space, it returns ErrFull.
func (e *engine) rotate() error {
	c := &e.checkpointer
	for {
		if err := c.full.failed(); err != nil {
			return err
		}
		select {
		case c.busy <- struct{}{}:
			return e.rotateLocked()
		case <-c.stuck:
		}
	}
}

// rotateLocked is rotate for a caller that has locked busy.
func (e *engine) rotateLocked() error {
	c := &e.committer
	err := e.failed()
	if err == nil {
		err = e.log.Rotate()
		switch {
		case isFull(err):
			c.wanted = 0
			err = c.setFull(err)
		case err != nil:
			err = e.fail(err)
		}
	}
	if err != nil {
		e.checkpointer.busy.Unlock()
		return err
	}
	cp := &checkpoint{at: e.log.Base(), frozen: make(map[*space]*overlay, len(c.dirty))}
	for sp := range c.dirty {
		cp.frozen[sp] = sp.freeze()
	}
	clear(c.dirty)
	c.changed, c.checkpointDue = 0, false
	c.checkpointTimer.Stop()
	e.checkpointer.begin(cp)
	return nil
}

// checkpointSoon starts a checkpoint, or tries again later if one is under way.
func (e *engine) checkpointSoon() {
	c := &e.committer
	c.checkpointDue = false
	if e.failed() != nil {
		return
	}
	if e.checkpointer.busy.TryLock() && e.rotateLocked() == nil {
		return
	}
	c.checkpointDue = true
	c.checkpointTimer.Reset(e.opts.CheckpointEvery)
}

// applyCheckpoint starts a checkpoint of all changes until now. The answer has the channels that
// tell how it ends.
func (e *engine) applyCheckpoint(o *op) {
	if !o.take() {
		return
	}
	var out outcome
	if len(e.committer.dirty) > 0 || o.always {
		out.err = e.rotate()
	}
	out.err = cmp.Or(e.failed(), out.err)
	if last := e.checkpointer.last; last != nil {
		out.finished, out.stuck = last.finished, last.stuck
	}
	o.answer(out)
}

// flush waits until all changes are in the database. If the disk is full it returns ErrFull.
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

// lastCheckpoint starts the checkpoint of a store that is being closed.
func (e *engine) lastCheckpoint() {
	if len(e.committer.dirty) == 0 {
		return
	}
	if err := e.rotate(); err != nil && e.failed() == nil { // the next Open recovers it from the log
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
		cp.frozen = nil // the committer keeps the last checkpoint
		close(cp.finished)
		c.busy.Unlock()
	}
}

// checkpointUntilDone repeats the checkpoint as long as the disk is full, or until the store is
// being closed.
func (e *engine) checkpointUntilDone(cp *checkpoint) error {
	c := &e.checkpointer
	err := e.checkpoint(cp)
	for stuck := false; isFull(err); {
		_ = c.full.set(err)
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
		// A transaction whose sync has failed may be visible without being durable.
		if err = syncDatabase(e.disk, e.path); err == nil {
			err = e.checkpoint(cp)
		}
	}
	if err == nil {
		c.full.clear()
	}
	return err
}

// checkpoint writes the changes to the database.
func (e *engine) checkpoint(cp *checkpoint) error {
	w := newCheckpointWriter(cp.frozen)
	if err := w.findChanges(e.database); err != nil {
		return err
	}
	hd := head{open: true, id: e.log.ID(), log: e.checkpointer.log}
	total, indexes := w.left(), len(w.changes) > 0
	for first := true; first || w.left() > 0; first = false {
		err := e.database.update(func(tx *bolt.Tx) error {
			if err := w.write(tx); err != nil {
				return err
			}
			switch {
			case w.left() == 0:
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
		done := thousandths * (total - w.left()) / max(1, total)
		e.checkpointer.progress.Store(uint64(min(thousandths-1, done))) //nolint:gosec // not negative
	}
	e.checkpointer.log = cp.at
	e.epoch.Add(1) // before the overlays are removed: see current
	for sp := range cp.frozen {
		sp.thaw()
	}
	return nil
}

const thousandths = 1000

// maxPause is the longest time for which throttle delays changes.
const maxPause = 20 * time.Millisecond

// throttle delays changes a little if the log would be full before the checkpoint is finished.
// Otherwise they would be fast until then, and all wait until the checkpoint is finished.
func (e *engine) throttle(size int) {
	cp := &e.checkpointer
	done := float64(cp.progress.Load()) / thousandths
	if done == 1 || cp.last == nil || cp.full.failed() != nil {
		return
	}
	limit := float64(e.opts.segmentLimit())
	used := max(float64(e.log.Used()), float64(e.committer.changed)) / limit
	if used < max(done, 0.1) {
		return
	}
	left := time.Since(cp.started).Seconds() * (1 - done) / max(done, 0.01) // until it is finished
	pause := left * float64(size) / limit / (1 - min(used, 0.99))
	time.Sleep(min(maxPause, time.Duration(pause*float64(time.Second))))
}

// beginLog begins the log of a store that was closed. The log is durable before the database refers
// to it.
func (e *engine) beginLog(hd head) error {
	err := e.log.Create(hd.log)
	if err == nil {
		err = e.disk.SyncDir(filepath.Dir(e.path))
	}
	if err == nil {
		err = e.database.update(head{open: true, id: e.log.ID(), log: hd.log}.put)
	}
	if err != nil {
		return fmt.Errorf("filestore: begin the log: %w", err)
	}
	return nil
}
