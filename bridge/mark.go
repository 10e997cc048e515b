package bridge

import (
	"context"
	"sync/atomic"

	"github.com/sessionbridge/sessionbridge/internal/gateway"
)

// mark is the context of a running function of WithSession: a WithSession that gets it, or a context made from it, finds out
// that it is inside one. It dies when the function returns.
type mark struct {
	context.Context
	session *Session
	over    atomic.Bool

	// Guarded by the session's lock.
	lock   *gateway.Lock  // the session's, whose outer lock is held
	back   *gateway.Draft // what to go back to if the function fails; nil: the state without changes
	cutOff bool           // its time was up when the response began: its changes are not stored
}

type markKey struct{ b *Bridge }

func (m *mark) end() { m.over.Store(true) }

// Value implements context.Context.
func (m *mark) Value(key any) any {
	if k, ok := key.(markKey); ok && k.b == m.session.b && !m.over.Load() {
		return m
	}
	return m.Context.Value(key)
}

// inside returns the Session that a function of WithSession is running on in ctx, nil for none; ErrNested when it is another
// session than id.
func (b *Bridge) inside(ctx context.Context, id string) (*Session, error) {
	m, _ := ctx.Value(markKey{b}).(*mark)
	switch {
	case m == nil:
		return nil, nil
	case m.session.ID() != id:
		return nil, ErrNested
	}
	return m.session, nil
}
