package filestore

import (
	"context"
	"time"

	"github.com/sessionbridge/sessionbridge/store"
)

// Touch implements store.Toucher. It isn't synced by itself: when the machine crashes or loses power, those since the last change
// of any session, or the last checkpoint, may be lost.
func (s *Store) Touch(ctx context.Context, id string, seen time.Time) error {
	if err := s.ready(ctx); err != nil {
		return err
	}
	if len(id) > maxName {
		return store.ErrNotFound
	}
	o := newOp(opTouch, s.space, id)
	o.seen = seen.UnixMicro()
	return s.change(ctx, o).err
}
