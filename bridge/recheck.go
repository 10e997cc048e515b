package bridge

import (
	"context"
	"errors"
	"time"
)

// recheckSession asks the store whether a session with links is over, or has shut some of them out.
// Loading it ends it if it has expired; activity since has moved its deadline if not.
func (b *Bridge) recheckSession(id string) {
	if b.hopeless() {
		return
	}
	rec, err := b.gateway.Load(context.Background(), id)
	switch {
	case err == nil:
		b.learn(&rec)
		b.clients.SetDue(id, rec.Expires)
		b.noticeLogin(context.Background(), &rec)
	case errors.Is(err, ErrSessionMissing):
		b.scheduleRecheck(id, b.forget(context.Background(), id, nil))
	default:
		b.retryRecheck(id, err)
	}
}

// scheduleRecheck has a session that may have ended checked again when the store could not say
// whether it is alive. Its connections are closed if that takes too long.
func (b *Bridge) scheduleRecheck(id string, err error) {
	if err == nil {
		return
	}
	b.links.Suspect(id, time.Now())
	b.retryRecheck(id, err)
}

// retryRecheck is scheduleRecheck, but a session whose time isn't over, and which is not suspected
// to have ended, keeps its connections however long the store is away.
func (b *Bridge) retryRecheck(id string, err error) {
	b.storeFailed(context.Background(), "find out whether a session is alive", id, err)
	for _, l := range b.links.Retry(id) {
		l.end(CodeUnavailable, "session store unavailable")
	}
}
