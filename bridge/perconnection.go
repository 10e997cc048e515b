package bridge

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/sessionbridge/sessionbridge/internal/autosave"
	"github.com/sessionbridge/sessionbridge/internal/errorcodes"
)

// PerConnection is like WebSocket, but runs fn with the connection's session, which is loaded when
// the connection opens. Changes of s collect there. They are stored every ConnOptions.SaveEvery, by
// SaveSession, and when fn returns, also with an error: most connections end with that of a read. A
// crash loses the changes since the last save.
//
// As with Session over HTTP, a save merges key by key: keys that fn didn't change keep the values
// that others have stored, and s takes these over every SaveEvery. Within one key the last save
// wins. For a change that depends on what it read, such as a counter, use Conn.WithSession, which
// here works on s: its function sees the changes of fn that are not stored yet, and stores both.
// Changes of s by other goroutines while it runs belong to it, and are undone if it fails. If it
// still runs Options.StoreTimeout after fn has returned, its changes are lost: ErrSessionClosed.
//
// A session that has ended is never stored again: changes since the last save are lost, and ctx
// ends with ErrSessionGone, at once if the session ended in this process, otherwise within
// SaveEvery, also with KeepConns. If a login replaces the token, or a connection that Follows finds
// within SaveEvery that its client has another session, ctx ends with ErrTokenRotated. Destroy and
// Logout take effect at once. s.Login and s.Rotate return ErrNoCookies. If fn panics, changes since
// the last save are not stored. If the store is unavailable at the end, the save is repeated for
// Options.StoreTimeout; then the changes are lost, which is logged, counted (Stats.SaveFailures)
// and reported to the client by close code 1013. If Options.BeforeCommit refuses them at the end
// they are lost at once: Stats.RefusedCommits, and close code 1008.
//
// A handshake without a session is closed with CodeNoSession, unless ConnOptions.OnMissing has
// another policy. WITH AcceptMissing s IS NIL IN A CONNECTION THAT HAS NO SESSION AT THE HANDSHAKE,
// for its whole life: fn has to check s before it uses it. Without AcceptMissing s is never nil.
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

// SaveSession stores the changes in the session of a PerConnection connection, and takes over those
// of others. It waits for a running WithSession of the connection. Within one, with its ctx, it
// stores the changes so far, which stay stored even if the function then fails.
//
// ErrSessionMissing if the connection has no such session, ErrSessionGone if the session has ended,
// ErrTokenRotated if a login has replaced its token, ErrConflict, ErrStoreUnavailable,
// ErrSessionTooLarge, a *ValueError, ErrSessionClosed after the connection's end, and the cause of
// ctx's end during a wait. Changes survive an error unless the session has ended.
func (c *Conn) SaveSession(ctx context.Context) error {
	h := c.link.perConn.Load()
	if h == nil {
		return fmt.Errorf("%w: the connection holds none (see Bridge.PerConnection)", ErrSessionMissing)
	}
	s, err := h.link.b.inside(ctx, h.s.id)
	switch {
	case err != nil:
		return err
	case s == h.s:
		return s.commit(ctx)
	case s != nil: // of another connection, whose function holds locks that this one may wait for
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

// connSession is the session of a PerConnection connection while its function runs. The turn of its
// saver is held while a function of WithSession runs on s, or s is stored.
type connSession struct {
	link  *Link
	s     *Session
	saver *autosave.Saver
}

// openConnSession loads the connection's session and plans its first save.
func (b *Bridge) openConnSession(ctx context.Context, c *Conn) (*connSession, error) {
	l := c.link
	id, proved := b.links.SessionOf(&l.entry)
	if id == "" {
		return nil, ErrSessionMissing
	}
	rec, err := b.gateway.LoadShared(ctx, id)
	if errors.Is(err, ErrSessionMissing) {
		b.tracker.Missing(ctx, id, nil)
	}
	if err != nil {
		return nil, err
	}
	h := &connSession{link: l}
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
	if now, _ := b.links.SessionOf(&l.entry); now == "" { // it has ended before h could be found
		l.perConn.Store(nil)
		return nil, ErrSessionMissing
	}
	h.saver.Start()
	return h, nil
}

// run runs fn and then stores its changes.
func (h *connSession) run(
	ctx context.Context, c *Conn, fn func(context.Context, *Conn, *Session) error,
) (err error) {
	returned := false
	defer func() { err = cmp.Or(err, h.end(returned)) }()
	err = fn(ctx, c, h.s)
	returned = true
	return err
}

// withSession is Link.withSession. It works on s, so that each sees the other's changes.
func (h *connSession) withSession(ctx context.Context, fn func(context.Context, *Session) error) (ran bool, err error) {
	if h.link.b.cluster.Frozen() {
		return false, errorcodes.ErrFrozen
	}
	if err := h.saver.Lock(ctx); err != nil {
		return false, err
	}
	defer h.saver.Unlock()
	k := h.link.b.gateway.Acquire(h.s.id)
	defer k.Release()
	if err := k.Lock(ctx); err != nil {
		return false, err
	}
	defer k.Unlock()
	switch err := h.drop(h.s.refresh(ctx, k.Later())); {
	case errors.Is(err, ErrSessionGone):
		return false, ErrSessionMissing
	case errors.Is(err, ErrTokenRotated):
		return false, errorcodes.ErrCutOff
	case err != nil:
		return false, err
	}
	h.link.Active()
	return true, h.s.run(ctx, k, new(txContext), fn)
}

// save is the Save of the saver's Config.
func (h *connSession) save(planned bool) (goOn bool) {
	if h.s.unsealed() != nil || h.s.over() { // the end of the connection stores s, or has stored it
		return false
	}
	h.report(h.store(h.link.ctx, planned))
	if id, _ := h.link.b.links.SessionOf(&h.link.entry); id != "" && id != h.s.id { // it has followed its client
		h.link.end(CodeReconnect, errorcodes.ReasonReconnect)
	}
	return !h.s.over()
}

// store stores the changes, merged key by key into the stored record. With fresh, s takes over the
// changes of others even if it has none itself. The caller holds the turn.
func (h *connSession) store(ctx context.Context, fresh bool) error {
	ctx = context.WithoutCancel(ctx) // the end of the connection must not prevent the save
	changed, err := h.commit(ctx)
	if err == nil && !changed && fresh {
		err = h.refresh(ctx)
	}
	return h.drop(err)
}

// commit is store without fresh. changed is false if there was nothing to store.
func (h *connSession) commit(ctx context.Context) (changed bool, err error) {
	s := h.s
	err = s.reviewed(ctx)
	defer s.unlock()
	switch {
	case s.ending != "":
		return true, s.destroy(ctx)
	case err != nil:
		return true, err
	case s.overHere():
		return true, nil
	case s.fate != fateAlive:
		return true, ErrSessionGone
	case !s.draft.Changed():
		return false, nil
	}
	return true, s.stored(false, h.link.b.gateway.Commit(ctx, &s.draft, s.from))
}

// refresh takes over the changes of others.
func (h *connSession) refresh(ctx context.Context) error {
	s := h.s
	rec, err := h.link.b.gateway.Load(ctx, s.id)
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
	}
	base := s.draft.Base()
	if rec.Revision < base.Revision || rec.Revision == base.Revision && !rec.Seen.After(base.Seen) {
		return nil
	}
	return s.draft.Rebase(rec) // also for activity alone, which moves the end of s
}

// drop ends the connection if err means that it has lost its session for good, and returns err.
func (h *connSession) drop(err error) error {
	switch {
	case errors.Is(err, ErrSessionGone):
		h.link.b.tracker.Missing(context.WithoutCancel(h.link.ctx), h.s.id, nil)
		h.link.end(CodeDestroyed, string(ReasonDestroyed)) // also with KeepConns: there is no session to work on
	case errors.Is(err, ErrTokenRotated):
		h.link.b.tracker.Unlink(h.link)
	}
	return err
}

// report counts and logs a failed save. The end of the session is no failure.
func (h *connSession) report(err error) {
	switch {
	case err == nil:
	case errors.Is(err, ErrSessionGone), errors.Is(err, ErrTokenRotated):
		h.link.b.report.Aside(h.link.ctx, slog.LevelInfo,
			"connection's session is over: what it had not stored yet is lost", h.link.b.report.Session(h.s.id))
	default:
		count := &h.link.b.stats.failedSaves
		if errors.Is(err, ErrRefused) && errorcodes.CausedByClient(err) {
			count = &h.link.b.stats.refusedCommits
		}
		count.Add(1)
		h.link.b.report.FailedAside(h.link.ctx, slog.LevelError, "store a connection's session", h.s.id, err)
	}
}

// end performs the last save. After a panic only a Destroy takes effect.
func (h *connSession) end(returned bool) error {
	timeout := h.link.b.opts.StoreTimeout
	defer h.saver.Close(timeout)() // it may time out while a function of WithSession has the turn
	h.s.leave(returned)
	defer h.s.seal()
	err := autosave.Retry(timeout,
		func() error { return h.store(h.link.ctx, false) },
		func(err error) bool { return errors.Is(err, ErrStoreUnavailable) })
	if err != nil {
		h.report(err)
		err = reportedError{err}
	}
	return err
}

// leave prepares s for its last commit, without the changes of a function of WithSession that still
// runs, and without those before a panic.
func (s *Session) leave(returned bool) {
	s.lock()
	defer s.unlock()
	if m := s.running; m != nil {
		s.restore(m.savepoint) // as it will be once more when the function returns
		m.aborted = true
	}
	if !returned {
		s.restore(nil)
	}
}

// holder returns the connSession that has s, or nil.
func (s *Session) holder() *connSession {
	if l := s.from.link; l != nil {
		if h := l.perConn.Load(); h != nil && h.s == s {
			return h
		}
	}
	return nil
}
