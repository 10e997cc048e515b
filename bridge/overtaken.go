package bridge

import (
	"context"
	"errors"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/credentials"
	"github.com/sessionbridge/sessionbridge/store"
)

// A browser has one place for the session cookie, and the responses to its requests arrive in any
// order. So a response that has been overtaken by a login doesn't take the login's place.

// mayCreate returns ErrTokenRotated if the browser has logged in since the request began, or has
// just got a newer token than it has sent: the cookie of the session without a user that the
// request is about to create would take the place of the newer one.
func (rq *request) mayCreate(ctx context.Context) error {
	if rq.isOutrun() {
		return ErrTokenRotated
	}
	loggedIn, err := rq.loggedInSince(ctx, rq.began, "")
	if err == nil && loggedIn {
		err = ErrTokenRotated
	}
	return err
}

// noteOutrun notes that the request presents a token that opens the session no more, if that has
// been so for no longer than RotateGrace: another request of the browser may have outrun this one
// on their way here, and the browser has a newer cookie by now.
func (rq *request) noteOutrun(rec *store.Record) {
	age := rq.began.Sub(rec.RotatedAt).Abs()
	if age >= limit(rq.b.opts.RotateGrace) || rq.presented.Carrier != credentials.ByToken && !rq.fits(rec) {
		return
	}
	rq.mu.Lock()
	defer rq.mu.Unlock()
	rq.outrun = true
}

func (rq *request) isOutrun() bool {
	rq.mu.Lock()
	defer rq.mu.Unlock()
	return rq.outrun
}

// loggedInSince reports whether the request's client has got a session with a user since then,
// other than the named one.
func (rq *request) loggedInSince(ctx context.Context, since time.Time, other string) (bool, error) {
	b := rq.b
	rq.mu.Lock()
	clientID, known, before := rq.answer.ClientID(), !rq.answer.ClientIsNew() && rq.presented.Carrier == credentials.ByCookies, rq.newest
	rq.mu.Unlock()
	if !known { // no other request can have named this client yet
		return false, nil
	}
	is := func(rec *store.Record) bool {
		return rec.ID != other && rec.UserID != "" && !rec.Began().Before(since.Truncate(time.Millisecond))
	}
	if id, ok := b.clients.SessionOf(clientID); ok && id != other && id != before {
		rec, err := b.gateway.Load(ctx, id)
		if err != nil && !errors.Is(err, ErrSessionMissing) {
			return false, err
		}
		if err == nil && is(&rec) {
			return b.overtakes.Counts(clientID, &rec), nil
		}
	}
	if b.cluster == nil {
		return false, nil
	}
	rec, err := b.gateway.NewestOfClient(ctx, clientID) // another node may have logged it in
	if errors.Is(err, ErrSessionMissing) {
		return false, nil
	}
	return err == nil && is(&rec) && b.overtakes.Counts(clientID, &rec), err
}

// promptly is how long after it was decided a cookie may be set, or removed, without looking again
// whether it is still right.
const promptly = 100 * time.Millisecond

// dropOvertaken forgets a cookie that is to be set, or removed, if that was decided some time ago
// and is not right any more: the handler has taken its time between the two. If the store cannot
// tell, the cookie is set.
func (rq *request) dropOvertaken() {
	rq.mu.Lock()
	pending := rq.answer.Pending()
	rq.mu.Unlock()
	if pending.Change == credentials.Keep || rq.presented.Carrier != credentials.ByCookies || time.Since(pending.Decided) < promptly {
		return
	}
	ctx, overtaken := context.WithoutCancel(rq), false
	id := "" // after a removal each session of the client is another one
	if pending.Change == credentials.Set {
		id = pending.Session.ID
		rec, err := rq.b.gateway.Load(ctx, id)
		overtaken = errors.Is(err, ErrSessionMissing) || err == nil && rec.TokenHash != pending.Session.Token.Hash()
	}
	if !overtaken {
		overtaken, _ = rq.loggedInSince(ctx, pending.Decided, id)
	}
	if !overtaken {
		return
	}
	rq.mu.Lock()
	defer rq.mu.Unlock()
	rq.answer.Withdraw(pending)
}
