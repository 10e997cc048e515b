package opening

import (
	"context"
	"errors"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/credentials"
	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/store"
)

// A browser has one place for the session cookie, and the responses to its requests arrive in any
// order. So a response that a login has overtaken doesn't replace the login's cookie.

// MayCreate returns gateway.ErrTokenRotated if the browser has logged in since the request began,
// or has just got a newer token than it has sent: the cookie of the session without a user that the
// request is about to create would replace the newer one.
func (x *Exchange) MayCreate(ctx context.Context) error {
	if x.Outrun() {
		return gateway.ErrTokenRotated
	}
	loggedIn, err := x.loggedInSince(ctx, x.began, "")
	if err == nil && loggedIn {
		err = gateway.ErrTokenRotated
	}
	return err
}

// noteOutrun notes that the request presents a token that no longer opens the session, if it was
// replaced within the grace period of a rotation: another request of the browser may have outrun
// this one, so that the browser has a newer cookie by now.
func (x *Exchange) noteOutrun(rec *store.Record) {
	if x.began.Sub(rec.RotatedAt).Abs() >= x.o.cfg.Grace.Rotate || !x.Owns(rec) {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.outrun = true
}

// Outrun reports whether the request presents a token that was just replaced and opens nothing.
func (x *Exchange) Outrun() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.outrun
}

// loggedInSince reports whether the request's client has got a session with a user since then, not
// counting the session other.
func (x *Exchange) loggedInSince(ctx context.Context, since time.Time, other string) (bool, error) {
	cfg := &x.o.cfg
	x.mu.Lock()
	clientID, isNew, before := x.answer.ClientID(), x.answer.ClientIsNew(), x.newest
	x.mu.Unlock()
	if isNew || x.presented.Carrier != credentials.ByCookies { // no other request can have named the client yet
		return false, nil
	}
	is := func(rec *store.Record) bool {
		return rec.ID != other && rec.UserID != "" && !rec.Began().Before(since.Truncate(time.Millisecond))
	}
	if id, ok := cfg.SessionOf(clientID); ok && id != other && id != before {
		rec, err := cfg.Gateway.Load(ctx, id)
		if err != nil && !errors.Is(err, gateway.ErrMissing) {
			return false, err
		}
		if err == nil && is(&rec) {
			return cfg.Overtakes(clientID, &rec), nil
		}
	}
	if !cfg.Nodes {
		return false, nil
	}
	rec, err := cfg.Gateway.NewestOfClient(ctx, clientID) // another node may have logged it in
	if errors.Is(err, gateway.ErrMissing) {
		return false, nil
	}
	return err == nil && is(&rec) && cfg.Overtakes(clientID, &rec), err
}

// promptly is how long a decision to set or remove a cookie holds. After it DropOvertaken checks
// whether the decision is still right.
const promptly = 100 * time.Millisecond

// DropOvertaken drops a decision to set or remove the session credential if it was made some time
// ago, by a slow handler, and is no longer right. If the store can't be read, the decision stays.
func (x *Exchange) DropOvertaken(ctx context.Context) {
	x.mu.Lock()
	pending := x.answer.Pending()
	x.mu.Unlock()
	if pending.Change == credentials.Keep || x.presented.Carrier != credentials.ByCookies ||
		time.Since(pending.Decided) < promptly {
		return
	}
	ctx = context.WithoutCancel(ctx)
	overtaken := false
	id := "" // after a removal each session of the client is another one
	if pending.Change == credentials.Set {
		id = pending.Session.ID
		rec, err := x.o.cfg.Gateway.Load(ctx, id)
		overtaken = errors.Is(err, gateway.ErrMissing) || err == nil && rec.TokenHash != pending.Session.Token.Hash()
	}
	if !overtaken {
		overtaken, _ = x.loggedInSince(ctx, pending.Decided, id)
	}
	if overtaken {
		x.mu.Lock()
		defer x.mu.Unlock()
		x.answer.Withdraw(pending)
	}
}
