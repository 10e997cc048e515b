package filestore

import (
	"cmp"
	"context"
	"fmt"
	"math"
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
	last *checkpoint  // the committer's; nil: there was none
	log  wal.Position // the database has all changes that the log has before it
	full fullness

	started  time.Time     // of the last checkpoint; the committer's
	progress atomic.Uint64 // of it, a float64 from 0 to 1
}

// checkpoint is a set of changes that is written to the database.
type checkpoint struct {
	frozen   map[*space]*overlay
	at       wal.Position // the changes are all that the log has before it
	finished chan struct{}
	stuck    chan struct{} // closed when there is no space; the checkpoint is repeated until there is
}

// begin starts a checkpoint. The caller has locked busy, which is unlocked at its end.
func (c *checkpointer) begin(cp *checkpoint) {
	cp.finished, cp.stuck = make(chan struct{}), make(chan struct{})
	c.last, c.started = cp, time.Now()
	c.progress.Store(0)
	c.work <- cp
}

// rotate continues the log in its other file, and starts a checkpoint of all earlier changes. It
// waits for the checkpoint under way, so that the log doesn't grow. If there is no space for that
// one, or in the log, it returns ErrFull.
func (e *engine) rotate() error {
	c := &e.checkpointer
	var stuck chan struct{}
	if c.last != nil {
		stuck = c.last.stuck
	}
	for {
		if err := c.full.failed(); err != nil {
			return err
		}
		if c.busy.LockUntil(stuck) {
			return e.rotateLocked()
		}
		stuck = nil // if it isn't full any more, the checkpoint is finished
	}
}

// rotateLocked is rotate for a caller that has locked busy.
func (e *engine) rotateLocked() error {
	c := &e.committer
	err := e.failed()
	if err == nil {
		err = e.logFailed(e.log.Rotate(), 0)
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
	c.changed, c.checkpointDue = 0, nil
	e.checkpointer.begin(cp)
	return nil
}

// checkpointSoon starts a checkpoint, or tries again later if one is under way.
func (e *engine) checkpointSoon() {
	e.committer.checkpointDue = nil
	if !e.checkpointer.busy.TryLock() || e.rotateLocked() != nil {
		e.committer.checkpointDue = time.After(e.opts.CheckpointEvery)
	}
}

// applyCheckpoint starts a checkpoint of all changes until now. The answer has the last checkpoint.
func (e *engine) applyCheckpoint(o *op) {
	if !o.take() {
		return
	}
	var out outcome
	if len(e.committer.dirty) > 0 || o.always {
		out.err = e.rotate()
	}
	out.err = cmp.Or(e.failed(), out.err)
	out.last = e.checkpointer.last
	o.answer(out)
}

// flush waits until all changes are in the database. If the disk is full it returns ErrFull.
func (e *engine) flush(ctx context.Context, always bool) error {
	o := newOp(opCheckpoint, e.space(""), "")
	o.always = always
	out := e.do(ctx, o)
	if out.err != nil || out.last == nil {
		return out.err
	}
	select {
	case <-out.last.finished:
		return e.failed()
	case <-out.last.stuck:
		return cmp.Or(e.failed(), e.checkpointer.full.failed())
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (e *engine) runCheckpointer() {
	c := &e.checkpointer
	for cp := range c.work {
		if e.failed() == nil {
			if err := e.checkpointUntilDone(cp); err != nil {
				_ = e.fail(fmt.Errorf("checkpoint of %s: %w", e.path, err))
			}
		}
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
	for first := true; isFull(err); first = false {
		_ = c.full.set(err)
		if first {
			close(cp.stuck)
		}
		select {
		case <-time.After(fullRetry):
		case <-e.committer.stop:
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
	w, err := newCheckpointWriter(e.database, cp.frozen)
	if err != nil {
		return err
	}
	hd := head{open: true, id: e.log.ID(), log: e.checkpointer.log}
	total, indexes := len(w.writes), len(w.writes) > 0 && w.writes[0].version == nil
	for first := true; first || len(w.writes) > 0; first = false {
		err := e.database.update(func(tx *bolt.Tx) error {
			if err := w.write(tx); err != nil {
				return err
			}
			switch {
			case len(w.writes) == 0:
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
		done := 1 - float64(len(w.writes))/float64(max(1, total))
		e.checkpointer.progress.Store(math.Float64bits(done))
	}
	e.checkpointer.log = cp.at
	e.epoch.Add(1) // before the overlays are removed: see current
	for sp := range cp.frozen {
		sp.thaw()
	}
	return nil
}

// maxPause is the longest time for which throttle delays changes.
const maxPause = 20 * time.Millisecond

// throttle delays changes a little if the log would be full before the checkpoint is finished:
// otherwise they would be fast at first, and then all wait.
func (e *engine) throttle(size int) {
	cp := &e.checkpointer
	done := math.Float64frombits(cp.progress.Load())
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
