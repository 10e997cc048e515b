package bridge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/sessionbridge/sessionbridge/internal/autosave"
)

// PerConnection returns a handler that accepts WebSocket connections and runs fn for each with its
// session, which is loaded when the connection opens. What fn changes in s collects there, and is
// stored every ConnOptions.SaveEvery if there is something to store, when SaveSession is called,
// and when fn returns, also with an error, as most connections end with that of a read. A crash
// loses what has been changed since the last time, SaveEvery at most.
//
// As Session does over HTTP, storing merges key by key: a key that fn didn't change keeps what
// others have stored meanwhile, and s takes that over every SaveEvery. Within one key the last one
// to store wins; for a change that depends on what it read, such as a counter, use
// Conn.WithSession, which here works on s: its function finds what fn has changed and not stored
// yet, and stores both. What other goroutines change in s while it runs is part of what it changes,
// and undone with it if it fails. One that still runs Options.StoreTimeout after fn has returned is
// cut off: ErrSessionClosed.
//
// A session that has ended is never stored again. What was changed since the last time is then
// lost; ctx ends with ErrSessionGone, at once when the session ended in this process, otherwise
// within SaveEvery, also with KeepConns. So it is when a login replaces the token, or, where
// connections Follow, within SaveEvery of the client's getting another session: ErrTokenRotated.
// Destroy and Logout take effect at once. s.Login and s.Rotate give ErrNoCookies. If fn panics,
// what it has changed since the last time is not stored. When the store is unavailable at the end
// it is asked again for Options.StoreTimeout; then the changes are lost, which is logged, counted
// (Stats.SaveFailures) and told the client by the close code 1013.
//
// A handshake without a session is closed with CodeNoSession, unless ConnOptions.OnMissing says
// otherwise. WITH AcceptMissing s IS NIL IN A CONNECTION THAT HAS NO SESSION AT THE HANDSHAKE, for
// as long as it lives: fn has to check it before it does anything with it. Without AcceptMissing s
// is never nil.
//
// For the rest it is as WebSocket.
func (b *Bridge) PerConnection(
	fn func(ctx context.Context, c *Conn, s *Session) error, opts *ConnOptions,
) http.Handler {
	return b.socket(func(ctx context.Context, c *Conn) error {
		h, err := b.openConnSession(ctx, c)
		switch {
		case err == nil:
			return h.run(ctx, c, fn)
		case errors.Is(err, ErrSessionMissing) && c.opts.OnMissing == AcceptMissing:
			return fn(ctx, c, nil)
		}
		return err
	}, opts, CloseMissing)
}

// SaveSession stores what has been changed in the session of a PerConnection connection, and takes
// over what others have changed. It waits for a WithSession that runs on the connection; from
// within one, with its ctx, it stores what has been changed so far, and that stays stored even if
// the function then fails.
//
// ErrSessionMissing when the connection holds no session, ErrSessionGone when it has ended,
// ErrTokenRotated when a login has replaced the token, ErrConflict, ErrStoreUnavailable,
// ErrSessionTooLarge, a *ValueError, ErrSessionClosed after the end of the connection, and the
// cause of ctx's end while waiting. Unless the session is over the changes are still there after an
// error, to be stored later.
func (c *Conn) SaveSession(ctx context.Context) error {
	h := c.link.perConn.Load()
	if h == nil {
		return fmt.Errorf("%w: the connection holds none (see Bridge.PerConnection)", ErrSessionMissing)
	}
	s, err := h.b.inside(ctx, h.s.id)
	switch {
	case err != nil:
		return err
	case s == h.s:
		return s.commit(ctx)
	case s != nil: // of another connection, whose function holds what this one may be waiting for
		return ErrNested
	}
	if err := h.saver.Lock(ctx); err != nil {
		return err
	}
	defer h.saver.Unlock()
	if err := h.s.unsealed(); err != nil {
		return err
	}
	return h.store(ctx, true)
}

// connSession is the session of a PerConnection connection while its function runs. Its turn, which
// its saver has, is held while a function of WithSession runs on s, or s is stored.
type connSession struct {
	b     *Bridge
	link  *Link
	s     *Session
	saver *autosave.Saver
}

// openConnSession loads the connection's session, and plans its first save.
func (b *Bridge) openConnSession(ctx context.Context, c *Conn) (*connSession, error) {
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
	h := &connSession{b: b, link: l}
	h.saver = autosave.New(autosave.Config{
		Clock: b.clock, Pool: b.pools.background, Every: zeroIfOff(c.opts.SaveEvery), Save: h.save,
	})
	if h.s, err = b.newSession(rec, &l.origin); err != nil {
		return nil, err
	}
	h.s.draft.Prove(proved)
	if h.s.draft.Cut(&rec) {
		return nil, h.drop(ErrTokenRotated)
	}
	l.perConn.Store(h)
	if now, _ := b.links.SessionOf(&l.entry); now == "" { // who ended it may not have found h yet
		l.perConn.Store(nil)
		return nil, ErrSessionMissing
	}
	h.saver.Start()
	return h, nil
}

// run runs fn and stores what it has changed when it returns.
func (h *connSession) run(
	ctx context.Context, c *Conn, fn func(context.Context, *Conn, *Session) error,
) (err error) {
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

// withSession is WithSession on the connection: it works on s, so that it finds what s has not
// stored yet, and s finds what it stores.
func (h *connSession) withSession(ctx context.Context, fn func(context.Context, *Session) error) (ran bool, err error) {
	if h.b.cluster.Frozen() {
		return false, errFrozen
	}
	if err := h.saver.Lock(ctx); err != nil {
		return false, err
	}
	defer h.saver.Unlock()
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
	return true, h.s.run(ctx, k, new(txContext), fn)
}

// save stores what has changed; one that was planned also takes over what others have. The turn is
// held.
func (h *connSession) save(planned bool) (goOn bool) {
	if h.s.unsealed() != nil || h.s.over() { // the connection's end stores it, or has
		return false
	}
	h.report(h.store(h.link.ctx, planned))
	if id, _ := h.b.links.SessionOf(&h.link.entry); id != "" && id != h.s.id { // it follows its client to another
		h.link.end(reconnect.Code, reconnect.Reason)
	}
	return !h.s.over()
}

// store stores what has changed, merged key by key into what is stored by now. With fresh, s takes
// over what others have changed also if there is nothing to store. The turn is held.
func (h *connSession) store(ctx context.Context, fresh bool) error {
	ctx = context.WithoutCancel(ctx) // what is to be stored is, whatever becomes of the connection
	changed, err := h.commit(ctx)
	if err == nil && !changed && fresh {
		err = h.refresh(ctx)
	}
	return h.drop(err)
}

// commit is store without fresh. It reports whether there was something to store.
func (h *connSession) commit(ctx context.Context) (changed bool, err error) {
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
func (h *connSession) refresh(ctx context.Context) error {
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
func (h *connSession) drop(err error) error {
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
func (h *connSession) report(err error) {
	switch {
	case err == nil:
	case errors.Is(err, ErrSessionGone), errors.Is(err, ErrTokenRotated):
		h.b.logAside(func() {
			h.b.opts.Logger.LogAttrs(h.link.ctx, slog.LevelInfo,
				"connection's session is over: what it had not stored yet is lost", h.b.logSession(h.s.id))
		})
	default:
		h.b.stats.failedSaves.Add(1)
		h.b.failedAside(h.link.ctx, slog.LevelError, Failure{"store a connection's session", h.s.id, err})
	}
}

// end stores what has changed, for the last time. After a panic nothing is, but a Destroy counts.
func (h *connSession) end(returned bool) error {
	timeout := h.b.opts.StoreTimeout
	unlock := h.saver.Close(timeout) // without the turn a function of WithSession outstays its connection
	defer unlock()
	h.s.leave(returned)
	defer h.s.seal()
	err := autosave.Retry(timeout,
		func() error { return h.store(h.link.ctx, false) },
		func(err error) bool { return errors.Is(err, ErrStoreUnavailable) })
	h.report(err)
	return err
}

// leave prepares s for its last commit: what a function of WithSession that still runs has changed
// is no part of it, nor what a panic has left.
func (s *Session) leave(returned bool) {
	s.lock()
	defer s.unlock()
	if m := s.running; m != nil {
		s.restore(m.savepoint) // as it will be once more when the function returns
		m.aborted = true
	}
	if !returned {
		s.draft.Discard()
	}
}

// holder returns the connSession whose session s is; nil if there is none.
func (s *Session) holder() *connSession {
	if l := s.from.link; l != nil {
		if h := l.perConn.Load(); h != nil && h.s == s {
			return h
		}
	}
	return nil
}
