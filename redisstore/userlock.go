package redisstore

import (
	"context"
	"errors"
	"sync"
	"time"
)

// ErrLockLost: a lock on a user was lost for a time, because Redis couldn't be reached for long or lost what it had acknowledged: the user may have logged in meanwhile.
var ErrLockLost = errors.New("redisstore: the lock was lost for a time")

// lockBeat is how often a lock is prolonged, which ends after 10 seconds otherwise.
const lockBeat = 2 * time.Second

// userLock is a lock on the logins of a user in all shards.
type userLock struct {
	store       *Store
	owner, user string
	mu          sync.Mutex
	lost, done  bool
	stop        context.CancelFunc
	ended       chan struct{} // closed when it isn't prolonged any more
}

// LockUser implements store.UserLocker. The lock is prolonged until unlock is called or the store is closed. unlock returns ErrLockLost when it was lost meanwhile.
func (s *Store) LockUser(ctx context.Context, userID string) (unlock func(ctx context.Context) error, err error) {
	const doing = "lock user"
	if err := s.engine.ready(ctx, doing); err != nil {
		return nil, err
	}
	var user [6]byte
	putSix(user[:], placeOf(userID))
	l := &userLock{store: s, owner: newName(), user: string(user[:]), ended: make(chan struct{})}
	if _, err := l.set(ctx, doing, "1"); err != nil {
		_, _ = l.set(context.WithoutCancel(ctx), doing, "0") // otherwise it ends by itself
		return nil, err
	}
	until, stop := context.WithCancel(s.engine.background.ctx)
	l.stop = stop
	if !s.engine.background.begin(func() { l.prolong(until) }) {
		stop()
		close(l.ended)
	}
	return l.unlock, nil
}

// set locks or unlocks in all shards. had: it was locked in all of them.
func (l *userLock) set(ctx context.Context, doing, mode string) (had bool, err error) {
	calls := make([]call, len(l.store.prefixes))
	for i, prefix := range l.store.prefixes {
		calls[i] = call{&l.store.engine.scripts.lock, prefix, []string{l.user, l.owner, mode}}
	}
	answers, err := l.store.engine.runAll(ctx, doing, calls)
	if err != nil {
		return true, err
	}
	had = true
	for _, answer := range answers {
		n, err := answer.AsInt64()
		if err != nil {
			return true, damaged(doing, err)
		}
		had = had && n == 1
	}
	return had, nil
}

// prolong prolongs the lock until the context ends. What it has begun it finishes, so that it doesn't arrive after the end of the lock.
func (l *userLock) prolong(until context.Context) {
	defer close(l.ended)
	for wait(until, lockBeat) {
		if had, err := l.set(l.store.engine.background.ctx, "prolonging the lock of a user", "1"); err == nil && !had {
			l.mu.Lock()
			l.lost = true
			l.mu.Unlock()
		}
	}
}

func (l *userLock) unlock(ctx context.Context) error {
	l.stop()
	<-l.ended
	l.mu.Lock()
	done := l.done
	l.mu.Unlock()
	if done {
		return nil
	}
	had, err := l.set(ctx, "unlock user", "0")
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		return err
	}
	l.done = true
	if l.lost || !had {
		return ErrLockLost
	}
	return nil
}
