package sealed

import (
	"context"
	"errors"

	"github.com/sessionbridge/sessionbridge/store"
)

type userLocker struct {
	*Store
	of store.UserLocker
}

// LockUser implements store.UserLocker: it locks every name of the user.
func (s userLocker) LockUser(ctx context.Context, userID string) (func(ctx context.Context) error, error) {
	var unlocks []func(ctx context.Context) error
	unlock := func(ctx context.Context) error {
		var failed error
		for _, unlock := range unlocks {
			failed = errors.Join(failed, unlock(ctx))
		}
		return failed
	}
	for _, name := range s.userNames(userID) {
		one, err := s.of.LockUser(ctx, name)
		if err != nil {
			return nil, errors.Join(err, unlock(context.WithoutCancel(ctx)))
		}
		unlocks = append(unlocks, one)
	}
	return unlock, nil
}
