package redisstore

import (
	"context"

	"github.com/sessionbridge/sessionbridge/internal/terms"
	"github.com/sessionbridge/sessionbridge/internal/userlock"
	"github.com/sessionbridge/sessionbridge/redisstore/internal/codec"
	"github.com/sessionbridge/sessionbridge/redisstore/internal/conn"
	"github.com/sessionbridge/sessionbridge/redisstore/internal/scripts"
)

// LockUser implements store.UserLocker. The lock is renewed until unlock is called or the store is
// closed. unlock returns ErrLockLost if the lock was lost meanwhile.
func (s *Store) LockUser(ctx context.Context, userID string) (unlock func(ctx context.Context) error, err error) {
	b := s.backend
	if err := b.Ready(ctx, "lock user"); err != nil {
		return nil, err
	}
	owner, user := terms.NewName(), codec.NumberText(codec.Score(userID))
	set := func(ctx context.Context, doing string, lock bool) (bool, error) { // in all shards
		mode := "0"
		if lock {
			mode = "1"
		}
		calls := make([]scripts.Call, len(s.prefixes))
		for i, prefix := range s.prefixes {
			calls[i] = b.scripts.Lock.On(prefix, user, owner, mode)
		}
		replies, err := b.RunAll(ctx, doing, calls)
		if err != nil {
			return true, err
		}
		had := true
		for _, reply := range replies {
			n, err := reply.AsInt64()
			if err != nil {
				return true, conn.Damaged(doing, err)
			}
			had = had && n == 1
		}
		return had, nil
	}
	return userlock.Take(ctx, userlock.Config{Background: b.background, Set: set, Lost: ErrLockLost})
}
