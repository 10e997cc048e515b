package filestore

import (
	"cmp"
	"errors"
	"runtime"
	"time"

	"github.com/sessionbridge/sessionbridge/store"
)

// committer makes changes durable: all that wait at a time with one write and one sync. It is one goroutine, so that
// compare-and-set needs no locks; what takes long is done before, by those who want a change, or after, by the checkpointer.
type committer struct {
	log  changeLog
	stop chan struct{} // closed to end it, once the queue is closed
	done chan struct{}

	group   []*op    // of the group that is being made: to be answered when it is durable
	staged  []staged // to be published then
	durable bool     // whether somebody waits for the group to be synced

	dirty   map[*space]struct{} // spaces with something in their active overlay
	changed int64               // about how many bytes of memory those overlays take

	syncTimer, checkpointTimer *time.Timer
	syncDue, checkpointDue     bool // whether they run

	full       fullness
	refused    bool        // changes, since the log couldn't turn
	wanted     int64       // how much the log had no room for
	retryTimer *time.Timer // runs while it is full
}

// staged is a version that isn't durable yet.
type staged struct {
	overlay *overlay
	slot    *slot
	key     []byte
	old, v  *version

	sameUser, sameClient bool
}

// overlayCost is about what a session takes in an overlay beside its value.
const overlayCost = 300

// segmentLimit is how large each of the log's files may be.
func (e *engine) segmentLimit() int64 { return e.opts.LogSize / 2 }

// entryLimit is how much of the log one change may take. Two of them fit into a segment, whatever else is in there.
func (e *engine) entryLimit() int { return int(e.segmentLimit() / 4) }

// groupLimit is how many bytes of changes go into one group, but for the last of them, which may go beyond.
func (e *engine) groupLimit() int { return min(1<<20, e.entryLimit()) }

func (e *engine) runCommitter() {
	c := &e.committer
	defer close(c.done)
	c.dirty = make(map[*space]struct{})
	c.syncTimer, c.checkpointTimer = newStoppedTimer(), newStoppedTimer()
	defer c.syncTimer.Stop()
	defer c.checkpointTimer.Stop()
	c.retryTimer = newStoppedTimer()
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
			e.lookForRoom()
		}
		for {
			// Those who were answered just now, or are about to ask, get the time to: the group will be the larger.
			runtime.Gosched()
			batch = e.queue.take(batch)
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

func newStoppedTimer() *time.Timer {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return t
}

// commit makes a group of the first ops and returns the others.
func (e *engine) commit(waiting []*op) (rest []*op) {
	c := &e.committer
	n, size := 0, 0
	for n < len(waiting) && waiting[n].kind != opCheckpoint && size < e.groupLimit() {
		size += waiting[n].size()
		n++
	}
	if n == 0 {
		e.applyCheckpoint(waiting[0])
		return waiting[1:]
	}
	var noRoom error
	if !c.log.room(size) || c.changed > e.segmentLimit() {
		if noRoom = e.turn(); noRoom != nil && e.failed() == nil {
			c.refused = true
			noRoom = e.full(&c.full, logFull, noRoom)
			c.retryTimer.Reset(fullRetry)
		}
	}
	e.pace(size)
	began, changed := c.log.mark(), c.changed
	c.log.begin()
	c.group, c.staged, c.durable = c.group[:0], c.staged[:0], false
	for _, o := range waiting[:n] {
		if !o.state.CompareAndSwap(opWaiting, opTaken) {
			continue
		}
		if err := cmp.Or(e.failed(), noRoom); err != nil {
			o.answer(outcome{err: err})
			continue
		}
		e.apply(o)
	}
	err := c.harden(e)
	switch {
	case err == nil && c.log.entries > 0:
		c.refused = false
		e.room(&c.full, logFull)
	case isFull(err):
		c.wanted = int64(len(c.log.buf))
		c.log.back(began)
		c.changed = changed
		c.retryTimer.Reset(fullRetry)
		err = e.full(&c.full, logFull, err)
	}
	e.finish(err)
	return waiting[n:]
}

const logFull = "write the log"

// harden writes the group, and syncs it unless nobody waits for that.
func (c *committer) harden(e *engine) error {
	if c.log.entries == 0 {
		return nil
	}
	if err := c.log.write(); err != nil {
		return err
	}
	if len(c.log.unsynced) > unsyncedLimit {
		return c.log.sync()
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
	return c.log.sync()
}

// finish shows the group to everybody and answers its callers; if it has failed, nobody sees it.
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
	for i := range c.staged { // whoever sees a session finds it by its names
		if s := &c.staged[i]; s.v.value != nil {
			s.overlay.indexNames(s.key, s.old, s.v, s.sameUser, s.sameClient)
		}
	}
	for i := range c.staged {
		c.staged[i].slot.publish()
	}
	for i := range c.staged { // an entry that leads to nothing yet would be taken for an old one
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

// apply finds out what the op makes of its session, and puts that into the group.
func (e *engine) apply(o *op) {
	var (
		out  outcome
		logs bool
	)
	switch o.kind {
	case opSet:
		out, logs = e.applySet(o)
	case opDestroy:
		out, logs = e.applyDestroy(o)
	case opTouch:
		out, logs = e.applyTouch(o)
	case opSweep:
		out, logs = e.applySweep(o)
	}
	if !logs {
		o.answer(out)
		return
	}
	o.outcome = out
	e.committer.group = append(e.committer.group, o)
}

func (e *engine) applySet(o *op) (outcome, bool) {
	cur, err := e.current(o.space, o.key, o.known)
	switch {
	case err != nil:
		return outcome{err: err}, false
	case cur == nil && o.revision != 0:
		return outcome{err: store.ErrNotFound}, false
	case cur != nil && cur.value.revision() != o.revision:
		return outcome{err: store.ErrConflict}, false
	}
	v := &version{value: o.value}
	o.value.setRevision(o.revision + 1)
	if cur == nil {
		v.due = o.value.expiry()
	} else {
		if err := o.value.keepSeen(cur.value.seen()); err != nil {
			return outcome{err: err}, false
		}
		v.due = min(cur.due, o.value.expiry())
	}
	e.stage(o.space, o.key, cur, v)
	e.committer.log.put(o.space.name, o.key, v.value)
	e.committer.durable = true
	return outcome{revision: o.revision + 1}, true
}

func (e *engine) applyDestroy(o *op) (outcome, bool) {
	cur, err := e.current(o.space, o.key, o.known)
	if err != nil || cur == nil {
		return outcome{err: err}, false
	}
	e.stage(o.space, o.key, cur, &version{due: never})
	e.committer.log.destroy(o.space.name, o.key)
	e.committer.durable = true
	return outcome{existed: true}, true
}

func (e *engine) applyTouch(o *op) (outcome, bool) {
	cur, err := e.current(o.space, o.key, o.known)
	switch {
	case err != nil:
		return outcome{err: err}, false
	case cur == nil:
		return outcome{err: store.ErrNotFound}, false
	case cur.value.seen() >= o.seen:
		return outcome{}, false
	}
	touched := append(value(nil), cur.value...)
	if err := touched.keepSeen(o.seen); err != nil {
		return outcome{err: err}, false
	}
	e.stage(o.space, o.key, cur, &version{value: touched, due: min(cur.due, touched.expiry())})
	e.committer.log.touch(o.space.name, o.key, touched)
	return outcome{}, true
}

// current returns the session's version, with what is pending. It is nil if there is no such session.
func (e *engine) current(sp *space, key []byte, known lookup) (*version, error) {
	l := sp.layers.Load()
	v := l.active.latest(key)
	if v == nil {
		v = l.frozen.find(key)
	}
	if v != nil {
		if v.value == nil {
			return nil, nil
		}
		return v, nil
	}
	if known.epoch == e.epoch.Load() { // looked at after the overlays: it changes before the database's newest leaves them
		return known.version, nil
	}
	return e.home.load(sp, key)
}

// stage puts the session's new version where the next to look for it finds it, and all others once it is durable. The key must stay as it
// is until the group is finished.
func (e *engine) stage(sp *space, key []byte, old, v *version) {
	c := &e.committer
	active := sp.layers.Load().active
	s, isNew := active.stage(key, v)
	if isNew {
		s.base = baseOf(old)
	}
	st := staged{overlay: active, slot: s, key: key, old: old, v: v}
	if old != nil && v.value != nil {
		st.sameUser, st.sameClient = old.value.sameOwner(v.value)
	}
	if s.base.exists && s.base.owner == nil && old != nil && (!st.sameUser || !st.sameClient) {
		s.base.owner = old.value
	}
	c.staged = append(c.staged, st)
	c.dirty[sp] = struct{}{}
	c.changed += int64(len(v.value))
	if isNew {
		c.changed += overlayCost
	} else if old != nil {
		c.changed -= int64(len(old.value)) // it is the one that was here
	}
}

// syncNow makes durable what was acknowledged without.
func (e *engine) syncNow() {
	e.committer.syncDue = false
	if e.failed() != nil {
		return
	}
	c := &e.committer
	err := c.log.sync()
	switch {
	case isFull(err): // what was acknowledged is in memory, and is written anew when there is room
		_ = e.full(&c.full, logFull, err)
		c.wanted = 0
		c.retryTimer.Reset(fullRetry)
	case err != nil:
		_ = e.fail(err)
	default:
		e.room(&c.full, logFull)
	}
}

// lookForRoom tries whether the log has room again for what it had none.
func (e *engine) lookForRoom() {
	c := &e.committer
	if e.failed() != nil || c.full.failed() == nil {
		return
	}
	var err error
	switch {
	case c.refused:
		err = e.turn()
	case c.log.torn || e.opts.SyncEvery > 0:
		err = c.log.sync()
	}
	if err == nil {
		err = c.log.active.extend(int64(c.log.active.end-c.log.active.base) + c.wanted)
	}
	switch {
	case err == nil:
		c.refused = false
		e.room(&c.full, logFull)
	case isFull(err):
		c.retryTimer.Reset(fullRetry)
	default:
		_ = e.fail(err)
	}
}
