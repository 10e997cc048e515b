package redisstore

import (
	"context"
	"sync"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/background"
	"github.com/sessionbridge/sessionbridge/redisstore/internal/codec"
	"github.com/sessionbridge/sessionbridge/redisstore/internal/conn"
	"github.com/sessionbridge/sessionbridge/redisstore/internal/membership"
	"github.com/sessionbridge/sessionbridge/redisstore/internal/scripts"
)

// lockRenewal is how often a lock is renewed, which otherwise expires after 10 seconds.
const lockRenewal = 2 * time.Second

// userLock locks the logins of a user in all shards.
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
	l := &userLock{
		store: s, owner: membership.NewName(), user: codec.NumberText(codec.Score(userID)), ended: make(chan struct{}),
	}
	if _, err := l.set(ctx, doing, lock); err != nil {
		_, _ = l.set(context.WithoutCancel(ctx), doing, release) // if that fails, the lock expires
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

// Modes of the script lock.
const (
	lock    = "1"
	release = "0"
)

// set locks or releases in all shards. It reports whether the lock was held in all of them before.
func (l *userLock) set(ctx context.Context, doing, mode string) (had bool, err error) {
	backend := l.store.backend
	calls := make([]scripts.Call, len(l.store.prefixes))
	for i, prefix := range l.store.prefixes {
		calls[i] = backend.scripts.Lock.On(prefix, l.user, l.owner, mode)
	}
	replies, err := backend.RunAll(ctx, doing, calls)
	if err != nil {
		return true, err
	}
	had = true
	for _, reply := range replies {
		n, err := reply.AsInt64()
		if err != nil {
			return true, conn.Damaged(doing, err)
		}
		had = had && n == 1
	}
	return had, nil
}

// renew renews the lock until ctx ends. A renewal that has begun is completed, so that it can't
// arrive after the release.
func (l *userLock) renew(ctx context.Context) {
	defer close(l.ended)
	for background.Sleep(ctx, lockRenewal) {
		had, err := l.set(l.store.backend.background.Context(), "renewing the lock of a user", lock)
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
	had, err := l.set(ctx, "unlock user", release)
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
