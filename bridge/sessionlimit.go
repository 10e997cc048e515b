package bridge

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	"github.com/sessionbridge/sessionbridge/internal/ctxlock"
	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/store"
)

// sessionLimit keeps the users' sessions at Options.MaxSessionsPerUser. Logins of one user go one
// after the other, those of different users don't wait for one another.
type sessionLimit struct {
	most   int
	refuse bool

	mu     sync.Mutex
	byUser map[string]*turns // of the users who are being logged in
}

// turns is a user's lock, and how many have it or want it.
type turns struct {
	lock ctxlock.Lock
	refs int
}

// newSessionLimit returns nil if there is no limit.
func newSessionLimit(s *settings, st store.Store) (*sessionLimit, error) {
	if s.MaxSessionsPerUser <= 0 {
		return nil, nil
	}
	if _, finds := st.(store.UserIndex); !finds {
		return nil, fmt.Errorf("%w: %w", bad("MaxSessionsPerUser", "the store can't find a user's sessions: it is no store.UserIndex"), ErrUnsupported)
	}
	return &sessionLimit{most: s.MaxSessionsPerUser, refuse: s.OnTooManySessions == RefuseLogin, byUser: make(map[string]*turns)}, nil
}

// withinLimit runs commit, which stores the draft, within the limits on the sessions of a client
// and of a user. The lock of s is held, and no session's commit lock.
func (s *Session) withinLimit(ctx context.Context, commit func() error) error {
	created := s.mayExceedClient()
	err := s.withinUserLimit(ctx, commit)
	if created && err == nil && s.draft.UserID() == "" {
		s.b.endSurplus(ctx, s)
	}
	return err
}

// withinUserLimit runs commit. If that is a login, the user has no more sessions afterwards than
// are allowed; a session that the user is logged in with already doesn't count twice.
func (s *Session) withinUserLimit(ctx context.Context, commit func() error) error {
	user, logsIn := s.draft.LogsIn()
	l := s.b.limit
	if l == nil || !logsIn {
		return commit()
	}
	release, err := l.take(ctx, user)
	if err != nil {
		return err
	}
	defer release()
	if l.refuse {
		others, has, err := l.others(ctx, s.b, user, s.id)
		if err != nil {
			return err
		}
		if len(others) >= l.most && !has {
			return fmt.Errorf("%w: %d are allowed", ErrTooManySessions, l.most)
		}
		return commit()
	}
	if err := commit(); err != nil {
		return err
	}
	l.evict(ctx, s, user)
	return nil
}

// take waits until no other login of the user is under way. Whoever finds none doesn't ask ctx:
// what has begun is stored even if the browser hangs up.
func (l *sessionLimit) take(ctx context.Context, user string) (release func(), err error) {
	l.mu.Lock()
	t := l.byUser[user]
	if t == nil {
		t = &turns{lock: ctxlock.New()}
		l.byUser[user] = t
	}
	t.refs++
	l.mu.Unlock()
	leave := func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if t.refs--; t.refs == 0 {
			delete(l.byUser, user)
		}
	}
	if err := t.lock.LockOrWait(ctx); err != nil {
		leave()
		return nil, fmt.Errorf("bridge: wait for another login of the user: %w", err)
	}
	return func() { t.lock.Unlock(); leave() }, nil
}

// others returns the user's sessions but for one, the last active first; has says whether that one
// is the user's, too.
func (l *sessionLimit) others(ctx context.Context, b *Bridge, user, except string) (ids []string, has bool, err error) {
	op, cancel := context.WithTimeout(context.WithoutCancel(ctx), b.opts.StoreTimeout)
	defer cancel()
	now := gateway.Now()
	all, err := b.gateway.ByUser(op, user)
	if err != nil {
		return nil, false, err
	}
	for rec, err := range all {
		switch {
		case err != nil:
			return nil, false, fmt.Errorf("%w: count the user's sessions: %w", ErrStoreUnavailable, err)
		case rec.ID == except:
			has = true
		case !rec.Expired(now):
			ids = append(ids, rec.ID)
		}
	}
	return ids, has, nil
}

// evict ends the sessions that have been silent for longest, after a login has added s. Of logins
// at several nodes one evicts at a time, and one that has been evicted itself meanwhile doesn't, so
// that they don't end each other. The login is stored: what fails here is left for the user's next
// one, and logged.
func (l *sessionLimit) evict(ctx context.Context, s *Session, user string) {
	b := s.b
	defer b.gateway.Lease(ctx, "logins of "+user)() // whose name the store doesn't learn
	ids, has, err := l.others(ctx, b, user, s.id)
	if err == nil && has && len(ids) >= l.most {
		from := &origin{via: s.from.via, reason: ReasonEvicted}
		still := func(rec *store.Record) bool { return rec.UserID == user }
		for _, id := range ids[l.most-1:] {
			if _, e := b.gateway.DestroyIfUnder(context.WithoutCancel(ctx), &s.later, id, still, from); e != nil {
				err = e
				break
			}
		}
	}
	if err != nil {
		s.later.Add(func() {
			b.failed(ctx, slog.LevelError, Failure{Doing: "end the sessions that a user has beyond Options.MaxSessionsPerUser", Err: err})
		})
	}
}
