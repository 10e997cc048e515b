// Package userlock holds a lock on the logins of a user in a server, for stores that several
// processes share. It renews the lock until it is unlocked, because the server lets it expire if the
// process ends.
package userlock

import (
	"context"
	"sync"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/background"
)

// Renewal is how often a lock is renewed. Servers let it expire after 10 seconds.
const Renewal = 2 * time.Second

// Config is what Take needs.
type Config struct {
	Background *background.Group // renews the lock; at its end the lock is left to expire
	// Set locks or renews the lock, or unlocks it. had reports whether the caller had it before.
	Set  func(ctx context.Context, doing string, lock bool) (had bool, err error)
	Lost error // what unlock returns if the lock was lost meanwhile
}

// lock is a lock that was taken.
type lock struct {
	Config
	cancel context.CancelFunc
	ended  chan struct{} // closed when the lock is no longer renewed

	mu             sync.Mutex
	lost, unlocked bool
}

// Take takes the lock and renews it until unlock is called. After an error of unlock the lock
// expires, unless a further call succeeds.
func Take(ctx context.Context, c Config) (unlock func(ctx context.Context) error, err error) {
	if _, err := c.Set(ctx, "lock user", true); err != nil {
		_, _ = c.Set(context.WithoutCancel(ctx), "lock user", false) // or the lock expires
		return nil, err
	}
	l := &lock{Config: c, ended: make(chan struct{})}
	renewing, cancel := context.WithCancel(c.Background.Context())
	l.cancel = cancel
	if !c.Background.Go(func() { l.renew(renewing) }) {
		cancel()
		close(l.ended)
	}
	return l.unlock, nil
}

// renew renews the lock until ctx ends. A renewal that has begun is completed, so that it can't
// arrive after the release.
func (l *lock) renew(ctx context.Context) {
	defer close(l.ended)
	for background.Sleep(ctx, Renewal) {
		had, err := l.Set(l.Background.Context(), "renewing the lock of a user", true)
		if err == nil && !had {
			l.mu.Lock()
			l.lost = true
			l.mu.Unlock()
		}
	}
}

func (l *lock) unlock(ctx context.Context) error {
	l.cancel()
	<-l.ended
	l.mu.Lock()
	unlocked := l.unlocked
	l.mu.Unlock()
	if unlocked {
		return nil
	}
	had, err := l.Set(ctx, "unlock user", false)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		return err
	}
	l.unlocked = true
	if l.lost || !had {
		return l.Lost
	}
	return nil
}
