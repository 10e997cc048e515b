package bridge

import (
	"context"
	"errors"
	"fmt"

	"github.com/sessionbridge/sessionbridge/internal/credentials"
	"github.com/sessionbridge/sessionbridge/internal/ctxlock"
	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/store"
)

// errRefused: what was presented opens nothing. The request goes on as one without a session.
var errRefused = errors.New("bridge: credentials refused")

// errOtherClient is errRefused for what came with another client's cookie.
var errOtherClient = fmt.Errorf("%w: another client", errRefused)

// open returns the request's session: the one that it presented, or a new one with another ID.
func (rq *request) open(ctx context.Context) (*Session, error) {
	s, err := rq.openOrLogIn(ctx)
	if err == nil && s.isLocked() {
		return nil, ErrTokenRotated
	}
	return s, err
}

// openOrLogIn is open that also returns the Session of a replaced token: see superseded.
func (rq *request) openOrLogIn(ctx context.Context) (*Session, error) {
	release, err := rq.lockOpening(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	s := rq.opened()
	if s != nil {
		if s, err = rq.afterDestroy(ctx, s); s != nil || err != nil {
			return s, err
		}
	} else if rq.presented.Carrier == credentials.ByTicket {
		if s, err = rq.openTicket(ctx); err != nil {
			return nil, err
		}
	} else if s, err = rq.openPresented(ctx); err != nil && !errors.Is(err, errRefused) {
		return nil, err
	}
	if s == nil && rq.presented.Carrier == credentials.ByTicket {
		return nil, ErrSessionGone // nobody would have the token of a new one
	}
	if s == nil {
		if s, err = rq.newSession(gateway.Now()); err != nil {
			return nil, err
		}
	}
	rq.mu.Lock()
	defer rq.mu.Unlock()
	if rq.r == nil { // the handler has returned meanwhile: there is no commit to come
		return nil, ErrSessionClosed
	}
	rq.session = s
	return s, nil
}

// lockOpening lets one goroutine of the request at a time open its session.
func (rq *request) lockOpening(ctx context.Context) (release func(), err error) {
	rq.mu.Lock()
	over := rq.r == nil
	if rq.opening == nil {
		rq.opening = ctxlock.New()
	}
	opening := rq.opening
	rq.mu.Unlock()
	if over {
		return nil, ErrSessionClosed
	}
	if err := opening.LockOrWait(ctx); err != nil {
		return nil, err
	}
	return opening.Unlock, nil
}

// afterDestroy returns s, or nil if the request itself has destroyed it: what it does then is for a new session.
func (rq *request) afterDestroy(ctx context.Context, s *Session) (*Session, error) {
	s.lock()
	defer s.unlock()
	if s.ending != "" && s.running == nil {
		if err := s.destroy(ctx); err != nil {
			return nil, err
		}
	}
	if s.ended {
		return nil, nil
	}
	return s, nil
}

// openCandidate opens the session that the cookies are all of. With ErrTokenRotated it may return the Session of a replaced token. errRefused when it doesn't exist or none has its token; errStranger when it
// isn't of a client whose cookie the request has, if ownOnly asks for that.
func (rq *request) openCandidate(ctx context.Context, cookies credentials.Candidate, ownOnly bool) (*Session, error) {
	b, id := rq.b, cookies.ID()
	var proved uint64
	var presented credentials.Token
	var owner string
	check := func(rec *store.Record) (err error) {
		owner = rec.UserID
		if ownOnly && !rq.fits(rec) {
			return errStranger
		}
		proved, presented, err = rq.proveAny(rec, cookies)
		switch {
		case errors.Is(err, errRefused):
			rq.noteOutrun(rec)
		case err == nil && !rq.bind(rec):
			err = errOtherClient
		}
		return err
	}
	var rec store.Record
	var err error
	if rq.coalescesLoads() {
		rec, err = b.gateway.LoadActiveShared(ctx, id, check)
	} else {
		rec, err = b.gateway.LoadActive(ctx, id, check)
	}
	if errors.Is(err, ErrTokenRotated) {
		return rq.superseded(&rec, cookies), err
	}
	if errors.Is(err, ErrSessionMissing) {
		if !rq.coalescesLoads() && rq.endedMeanwhile(id, &rec) { // a handshake makes no session
			return nil, ErrSessionGone
		}
		b.scheduleRecheck(id, b.forget(ctx, id, nil))
		rq.noteRejected(rejection(rq.presented.Carrier, id, "", err))
		return nil, errRefused
	}
	if errors.Is(err, errRefused) {
		rq.noteRejected(rejection(rq.presented.Carrier, id, owner, err))
	}
	if err != nil {
		return nil, err
	}
	if err := b.attach(ctx, &rec, ViaHTTP); err != nil {
		if errors.Is(err, ErrSessionMissing) {
			err = errRefused
		}
		return nil, err
	}
	stale := proved != rec.TokenGeneration
	if !stale && !rec.PrevTokenHash.IsZero() && rec.LoginGeneration != rec.TokenGeneration &&
		rec.Renewal != store.RenewalSeen && rec.Renewal != store.RotationSeen {
		b.gateway.RetirePrevious(ctx, &rec, b.grace.RetireAt(&rec, rq.began))
	}
	s, err := b.newSession(rec, &origin{via: ViaHTTP, request: rq})
	if err != nil {
		return nil, err
	}
	s.proved, s.stale, s.token = proved, stale, presented
	overdue := stale && rq.began.Sub(rec.RotatedAt) >= limit(b.opts.RotateGrace)
	s.unrenewed = overdue && rec.Renewal == store.RenewalSent
	s.late = overdue && rec.Renewal == store.RenewalSeen
	s.draft.Prove(proved)
	return s, nil
}

// attach maps the session to its client, and says so if this process does it for the first time.
func (b *Bridge) attach(ctx context.Context, rec *store.Record, via Via) error {
	if b.clients.Refresh(rec.ClientID, rec.ID) {
		b.noticeLogin(ctx, rec)
		return nil
	}
	clientID, id := rec.ClientID, rec.ID
	needed := func() bool { return !b.clients.Refresh(clientID, id) } // another may have done it meanwhile
	return b.gateway.ReportIf(ctx, id, needed, func(now *store.Record) {
		if !b.mapClient(now, false) {
			return
		}
		if newest, _ := b.clients.SessionOf(now.ClientID); b.opts.Rebind == Follow && newest == now.ID {
			b.follow(now)
		}
		if b.events.Active() {
			b.events.Emit(SessionSet{ClientID: now.ClientID, SessionID: now.ID, UserID: now.UserID, IsInit: true, Via: via})
		}
	})
}
