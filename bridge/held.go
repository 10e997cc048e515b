package bridge

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/clock"
	"github.com/sessionbridge/sessionbridge/internal/ctxlock"
)

// held is the session that a connection of PerConnection holds while its function runs. It has one deadline of the Bridge's clock, and no goroutine but while it
// stores something.
type held struct {
	b     *Bridge
	link  *Link
	s     *Session
	every time.Duration // between two saves; Off: none
	turn  ctxlock.Lock  // a function of WithSession runs on s, or s is being stored
	due   atomic.Bool   // somebody who found the turn taken wants a save
	soon  atomic.Bool   // a save waits for its worker

	mu    sync.Mutex
	timer *clock.Deadline
	over  bool
}

// hold loads the connection's session, and plans its first save.
func (b *Bridge) hold(ctx context.Context, c *Conn) (*held, error) {
	l := c.link
	id, proved := b.links.SessionOf(&l.entry)
	if id == "" {
		return nil, ErrSessionMissing
	}
	rec, err := b.gateway.LoadShared(ctx, id)
	if errors.Is(err, ErrSessionMissing) {
		b.scheduleRecheck(id, b.forget(ctx, id, nil))
	}
	if err != nil {
		return nil, err
	}
	h := &held{b: b, link: l, every: c.opts.SaveEvery, turn: ctxlock.New()}
	if h.s, err = b.newSession(rec, &l.origin); err != nil {
		return nil, err
	}
	h.s.draft.Prove(proved)
	if h.s.draft.Cut(&rec) {
		return nil, h.drop(ErrTokenRotated)
	}
	l.held.Store(h)
	if now, _ := b.links.SessionOf(&l.entry); now == "" { // who ended it may not have seen yet that it is held
		l.held.Store(nil)
		return nil, ErrSessionMissing
	}
	if h.every != Off {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.timer = b.clock.Add(time.Now().Add(h.every/2+rand.N(h.every/2)), h.tick) // connections that came at once don't store at once
	}
	return h, nil
}

// run runs fn and stores what it has changed when it returns.
func (h *held) run(ctx context.Context, c *Conn, fn func(context.Context, *Conn, *Session) error) (err error) {
	returned := false
	defer func() {
		if failed := h.end(returned); err == nil {
			err = failed
		}
	}()
	err = fn(ctx, c, h.s)
	returned = true
	return err
}

// take waits for the turn.
func (h *held) take(ctx context.Context) error { return h.turn.Lock(ctx) }

func (h *held) tryTake() bool { return h.turn.TryLock() }

// release gives the turn back. A save that wanted it meanwhile follows.
func (h *held) release() {
	h.turn.Unlock()
	if h.due.Swap(false) {
		h.saveSoon()
	}
}

// withSession is WithSession on the connection: it works on s, so that it finds what s has not stored yet, and s finds what it stores.
func (h *held) withSession(ctx context.Context, fn func(context.Context, *Session) error) (ran bool, err error) {
	if h.b.cluster.Frozen() {
		return false, errFrozen
	}
	if err := h.take(ctx); err != nil {
		return false, err
	}
	defer h.release()
	k := h.b.gateway.Acquire(h.s.id)
	defer k.Release()
	if err := k.Lock(ctx); err != nil {
		return false, err
	}
	defer k.Unlock()
	switch err := h.s.refresh(ctx, k.Later()); {
	case errors.Is(err, ErrSessionGone):
		_ = h.drop(err)
		return false, ErrSessionMissing
	case errors.Is(err, ErrTokenRotated):
		_ = h.drop(err)
		return false, errCutOff
	case err != nil:
		return false, err
	}
	h.link.Active()
	return true, h.s.run(ctx, k, new(mark), fn)
}

// tick is called every SaveEvery.
func (h *held) tick() { h.inBackground(true) }

// saveSoon has what has changed stored. It waits for nothing.
func (h *held) saveSoon() { h.inBackground(false) }

func (h *held) inBackground(fresh bool) {
	if fresh || h.soon.CompareAndSwap(false, true) {
		h.b.pools.background.Go(func() {
			if !fresh {
				h.soon.Store(false) // what is asked for from now on may need another one
			}
			h.save(fresh)
		})
	}
}

// save stores what has changed, unless a function of WithSession runs on s: the save is made up for after that. A fresh one also takes over what others have changed, and
// plans the next.
func (h *held) save(fresh bool) {
	if fresh {
		defer h.plan()
	}
	if !h.tryTake() {
		h.due.Store(true)
		if !h.tryTake() { // whoever has it sees that one is due
			return
		}
		h.due.Store(false)
	}
	defer h.release()
	if h.s.isSealed() { // the connection's end has stored it
		return
	}
	h.report(h.store(h.link.ctx, fresh))
	if id, _ := h.b.links.SessionOf(&h.link.entry); id != "" && id != h.s.id { // the connection has followed its client to another session
		h.link.end(reconnect.Code, reconnect.Reason)
	}
}

// plan has the next save come.
func (h *held) plan() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.over && h.timer != nil && !h.s.over() {
		h.b.clock.Move(h.timer, time.Now().Add(h.every))
	}
}

// store stores what has changed, merged key by key into what is stored by now. With fresh, s takes over what others have changed also if there is nothing to
// store. The turn is held.
func (h *held) store(ctx context.Context, fresh bool) error {
	ctx = context.WithoutCancel(ctx) // what is to be stored is, whatever becomes of the connection
	changed, err := h.commit(ctx)
	if err == nil && !changed && fresh {
		err = h.refresh(ctx)
	}
	return h.drop(err)
}

// commit is store without fresh. It reports whether there was something to store.
func (h *held) commit(ctx context.Context) (changed bool, err error) {
	s := h.s
	s.lock()
	defer s.unlock()
	switch {
	case s.ending != "":
		return true, s.destroy(ctx)
	case s.overHere():
		return true, nil
	case s.fate != fateAlive:
		return true, ErrSessionGone
	case !s.draft.Changed():
		return false, nil
	}
	return true, s.stored(false, h.b.gateway.Commit(ctx, &s.draft, s.from))
}

// refresh takes over what others have changed, if they have.
func (h *held) refresh(ctx context.Context) error {
	s := h.s
	rec, err := h.b.gateway.Load(ctx, s.id)
	s.lock()
	defer s.unlock()
	switch {
	case errors.Is(err, ErrSessionMissing):
		s.fate = max(s.fate, fateGone)
		return ErrSessionGone
	case err != nil:
		return err
	case s.draft.Cut(&rec):
		return ErrTokenRotated
	case s.draft.Base().Revision >= rec.Revision:
		return nil
	}
	return s.draft.Rebase(rec)
}

// drop ends the connection if err says that it has lost its session for good, and returns err.
func (h *held) drop(err error) error {
	switch {
	case errors.Is(err, ErrSessionGone):
		h.b.scheduleRecheck(h.s.id, h.b.forget(context.WithoutCancel(h.link.ctx), h.s.id, nil))
		h.link.end(CodeDestroyed, string(ReasonDestroyed)) // also where others are kept: there is nothing left to work on
	case errors.Is(err, ErrTokenRotated):
		h.link.unlink()
	}
	return err
}

// report counts and logs a save that failed. That the session is over is no failure.
func (h *held) report(err error) {
	switch {
	case err == nil:
	case errors.Is(err, ErrSessionGone), errors.Is(err, ErrTokenRotated):
		h.b.logAside(func() {
			h.b.opts.Logger.LogAttrs(h.link.ctx, slog.LevelInfo, "connection's session is over: what it had not stored yet is lost", h.b.logSession(h.s.id))
		})
	default:
		h.b.stats.failedSaves.Add(1)
		h.b.failedAside(h.link.ctx, slog.LevelError, Failure{"store a connection's session", h.s.id, err})
	}
}

// How the store is asked again at the end of a connection, with pauses that double.
const firstPause = 20 * time.Millisecond

// end stores what has changed, for the last time. After a panic nothing is, but a Destroy counts.
func (h *held) end(returned bool) error {
	h.mu.Lock()
	h.over = true
	h.b.clock.Remove(h.timer)
	h.mu.Unlock()
	timeout := h.b.opts.StoreTimeout
	ctx, cancel := context.WithTimeout(context.WithoutCancel(h.link.ctx), timeout)
	defer cancel()
	if h.take(ctx) == nil { // otherwise a function of WithSession outstays its connection
		defer h.release()
	}
	h.s.leave(returned)
	defer h.s.seal()
	until := time.Now().Add(timeout)
	err := h.store(h.link.ctx, false)
	for pause := firstPause; errors.Is(err, ErrStoreUnavailable) && time.Until(until) > pause; pause *= 2 {
		time.Sleep(pause)
		err = h.store(h.link.ctx, false)
	}
	h.report(err)
	return err
}

// leave prepares s for its last commit: what a function of WithSession that still runs has changed is no part of it, nor what a panic has left.
func (s *Session) leave(returned bool) {
	s.lock()
	defer s.unlock()
	if m := s.running; m != nil {
		s.restore(m.back) // as it will be once more when the function returns
		m.cutOff = true
	}
	if !returned {
		s.draft.Discard()
	}
}

// holder returns the connection's hold on s, nil for a Session that none holds.
func (s *Session) holder() *held {
	if l := s.from.link; l != nil {
		if h := l.held.Load(); h != nil && h.s == s {
			return h
		}
	}
	return nil
}

func (s *Session) isSealed() bool {
	s.lock()
	defer s.unlock()
	return s.sealed
}
