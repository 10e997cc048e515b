package bridge

import (
	"context"
	"errors"
	"fmt"
	"net/http"
)

// PerConnection returns a handler that accepts WebSocket connections and runs fn for each with its session, which is loaded when the connection opens. What fn
// changes in s collects there, and is stored every ConnOptions.SaveEvery if there is something to store, when SaveSession is called, and when fn returns,
// also with an error, as most connections end with that of a read. A crash loses what has been changed since the last time, SaveEvery at most.
//
// As Session does over HTTP, storing merges key by key: a key that fn didn't change keeps what others have stored meanwhile, and s takes that over every
// SaveEvery. Within one key the last one to store wins; for a change that depends on what it read, such as a counter, use Conn.WithSession, which here works on s:
// its function finds what fn has changed and not stored yet, and stores both. What other goroutines change in s while it runs is part of what it changes, and
// undone with it if it fails. One that still runs Options.StoreTimeout after fn has returned is cut off: ErrSessionClosed.
//
// A session that has ended is never stored again. What was changed since the last time is then lost; ctx ends with ErrSessionGone, at once when the session ended in
// this process, otherwise within SaveEvery, also with KeepConns. So it is when a login replaces the token, or, where connections Follow, within SaveEvery of the client's
// getting another session: ErrTokenRotated. Destroy and Logout take effect at once. s.Login and s.Rotate
// give ErrNoCookies. If fn panics, what it has changed since the last time is not stored. When the store is unavailable at the end it is asked again for
// Options.StoreTimeout; then the changes are lost, which is logged, counted (Stats.SaveFailures) and told the client by the close code 1013.
//
// A handshake without a session is closed with CodeNoSession, unless ConnOptions.OnMissing says otherwise. WITH AcceptMissing s IS NIL IN A CONNECTION THAT HAS NO SESSION AT
// THE HANDSHAKE, for as long as it lives: fn has to check it before it does anything with it. Without AcceptMissing s is never nil.
//
// For the rest it is as WebSocket.
func (b *Bridge) PerConnection(fn func(ctx context.Context, c *Conn, s *Session) error, opts *ConnOptions) http.Handler {
	return b.socket(func(ctx context.Context, c *Conn) error {
		h, err := b.hold(ctx, c)
		switch {
		case err == nil:
			return h.run(ctx, c, fn)
		case errors.Is(err, ErrSessionMissing) && c.opts.OnMissing == AcceptMissing:
			return fn(ctx, c, nil)
		}
		return err
	}, opts, CloseMissing)
}

// SaveSession stores what has been changed in the session of a PerConnection connection, and takes over what others have changed. It waits for a WithSession that runs on the connection; from within one, with its ctx, it stores what has been changed so far, and that stays
// stored even if the function then fails.
//
// ErrSessionMissing when the connection holds no session, ErrSessionGone when it has ended, ErrTokenRotated when a login has replaced the token,
// ErrConflict, ErrStoreUnavailable, ErrSessionTooLarge, a *ValueError, ErrSessionClosed after the end of the connection, and the cause of ctx's end
// while waiting. Unless the session is over the changes are still there after an error, to be stored later.
func (c *Conn) SaveSession(ctx context.Context) error {
	h := c.link.held.Load()
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
	if err := h.take(ctx); err != nil {
		return err
	}
	defer h.release()
	if h.s.isSealed() {
		return ErrSessionClosed
	}
	return h.store(ctx, true)
}
