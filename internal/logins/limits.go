package logins

import (
	"context"
	"errors"
	"sync"

	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/store"
)

// ErrTooMany is returned for a login that is refused. The bridge exports it, hence the prefix.
var ErrTooMany = errors.New("bridge: the user is logged in with too many sessions")

// Config is what Limits need.
type Config struct {
	Gateway *gateway.Gateway

	// PerUser is how many sessions a user may have; 0: any number. The store is a store.UserIndex.
	PerUser int
	// Refuse makes Login refuse a login beyond PerUser. Otherwise it destroys older sessions.
	Refuse bool

	// PerClient is how many sessions without a user a client may have; 0: any number.
	PerClient int
	// HasConns reports whether the session has connections: it is not destroyed for PerClient then.
	HasConns func(sessionID string) bool
	// CountConns returns how many connections the client has.
	CountConns func(clientID string) int

	// Evicted returns the tag of the ends that a change with the given tag causes.
	Evicted func(tag any) any
	// Failed is called, by the Later of the session, if sessions could not be destroyed.
	Failed func(ctx context.Context, doing string, err error)
}

// Limits keep the numbers of sessions at their maximum. A login beyond it destroys the user's
// sessions that were active least recently (peruser.go), a new session without a user the oldest
// ones of its client (perclient.go). They are safe for concurrent use.
type Limits struct {
	cfg Config

	mu    sync.Mutex
	turns map[string]*turn // of the users who log in
}

// NewLimits returns the Limits of cfg.
func NewLimits(cfg Config) *Limits {
	if !cfg.Gateway.FindsClients() {
		cfg.PerClient = 0
	}
	return &Limits{cfg: cfg, turns: make(map[string]*turn)}
}

// Session is a session that is created or logged in to.
type Session struct {
	ID, ClientID string
	Tag          any            // of the change
	Later        *gateway.Later // for the caller, who holds a lock
}

// evict destroys the sessions that the function is accepts, up to the first failure.
func (l *Limits) evict(ctx context.Context, s Session, ids []string, is func(*store.Record) bool) error {
	if len(ids) == 0 {
		return nil
	}
	ctx, tag := context.WithoutCancel(ctx), l.cfg.Evicted(s.Tag)
	for _, id := range ids {
		if _, err := l.cfg.Gateway.DestroyIf(ctx, s.Later, id, is, tag); err != nil {
			return err
		}
	}
	return nil
}

// report has Failed called if there is an error. The change is stored: the next one of its kind
// destroys what is left.
func (l *Limits) report(ctx context.Context, s Session, doing string, err error) {
	if err != nil {
		s.Later.Add(func() { l.cfg.Failed(ctx, doing, err) })
	}
}
