package pgstore

import (
	"context"
	"crypto/rand"
	"fmt"

	"github.com/sessionbridge/sessionbridge/internal/userlock"
)

// LockUser implements store.UserLocker. The lock is renewed until unlock is called or the store is
// closed. unlock returns ErrLockLost if the lock was lost meanwhile.
func (s *Store) LockUser(ctx context.Context, userID string) (unlock func(ctx context.Context) error, err error) {
	b := s.backend
	if err := b.Ready(ctx, "lock user"); err != nil {
		return nil, err
	}
	if !s.storable(userID) {
		return nil, fmt.Errorf("%w: lock user: a user must be UTF-8 without NUL", ErrText)
	}
	owner := rand.Text()
	set := func(ctx context.Context, doing string, lock bool) (had bool, err error) {
		statement := b.statements.unlockUser
		if lock {
			statement = b.statements.lockUser
		}
		err = b.Row(ctx, doing, []any{&had}, statement, s.app, userID, owner)
		return had, err
	}
	return userlock.Take(ctx, userlock.Config{Background: b.background, Set: set, Lost: ErrLockLost})
}
