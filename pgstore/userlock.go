package pgstore

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/background"
)

// lockRenewal is how often a lock is renewed, which otherwise expires after 10 seconds.
const lockRenewal = 2 * time.Second

// userLock locks the logins of a user.
type userLock struct {
	store       *Store
	owner, user string
	cancel      context.CancelFunc
	ended       chan struct{} // closed when the lock is no longer renewed

	mu             sync.Mutex
	lost, unlocked bool
}

// LockUser implements store.UserLocker. The lock is renewed until unlock is called or the store is
// closed. unlock returns ErrLockLost if the lock was lost meanwhile.
func (s *Store) LockUser(ctx context.Context, userID string) (unlock func(ctx context.Context) error, err error) {
	const doing = "lock user"
	if err := s.backend.Ready(ctx, doing); err != nil {
		return nil, err
	}
	if !s.storable(userID) {
		return nil, fmt.Errorf("%w: lock user: a user must be UTF-8 without NUL", ErrText)
	}
	l := &userLock{store: s, owner: rand.Text(), user: userID, ended: make(chan struct{})}
	if _, err := l.set(ctx, doing, s.backend.statements.lockUser); err != nil {
		_, _ = l.set(context.WithoutCancel(ctx), doing, s.backend.statements.unlockUser) // or the lock expires
		return nil, err
	}
	renewing, cancel := context.WithCancel(s.backend.background.Context())
	l.cancel = cancel
	if !s.backend.background.Go(func() { l.renew(renewing) }) {
		cancel()
		close(l.ended)
	}
	return l.unlock, nil
}

// set locks or releases. It reports whether the lock was held before.
func (l *userLock) set(ctx context.Context, doing, statement string) (had bool, err error) {
	err = l.store.backend.Row(ctx, doing, []any{&had}, statement, l.store.app, l.user, l.owner)
	return had, err
}

// renew renews the lock until ctx ends. A renewal that has begun is completed, so that it can't
// arrive after the release.
func (l *userLock) renew(ctx context.Context) {
	defer close(l.ended)
	backend := l.store.backend
	for background.Sleep(ctx, lockRenewal) {
		had, err := l.set(backend.background.Context(), "renewing the lock of a user", backend.statements.lockUser)
		if err == nil && !had {
			l.mu.Lock()
			l.lost = true
			l.mu.Unlock()
		}
	}
}

func (l *userLock) unlock(ctx context.Context) error {
	l.cancel()
	<-l.ended
	l.mu.Lock()
	unlocked := l.unlocked
	l.mu.Unlock()
	if unlocked {
		return nil
	}
	had, err := l.set(ctx, "unlock user", l.store.backend.statements.unlockUser)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		return err
	}
	l.unlocked = true
	if l.lost || !had {
		return ErrLockLost
	}
	return nil
}
