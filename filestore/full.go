package filestore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"
)

// A disk that is full is no reason to give up: it has room again when somebody has removed something. What has failed for it alone is undone and tried again. What can't be undone is done anew:
//
//   - A group that couldn't be written, or synced, is taken out of the log and of the overlays; its callers get ErrFull. The next one is written over it.
//   - What was written before it and isn't synced yet may be lost by a sync that has failed, although it is read: it is kept in memory until then, and written anew.
//   - A checkpoint that couldn't be written is made again from its beginning: the log and the overlays have all of it.
//
// Any other failure is one of the disk, after which nobody knows what is on it: see engine.fail.

// fullRetry is how often it is looked whether there is room again, besides at each change.
const fullRetry = time.Second

// fullness is what has failed last because the disk is full; nil: nothing.
type fullness struct {
	err atomic.Pointer[failure]
}

// failed returns nil if the last attempt has found room.
func (f *fullness) failed() error {
	if why := f.err.Load(); why != nil {
		return why.cause
	}
	return nil
}

// full notes that there is no room for something, and returns what callers get.
func (e *engine) full(f *fullness, doing string, cause error) error {
	if !errors.Is(cause, ErrFull) {
		cause = fmt.Errorf("%w: %s: %w", ErrFull, doing, cause)
	}
	if f.err.Swap(&failure{cause}) == nil {
		e.opts.Logger.LogAttrs(context.Background(), slog.LevelError, "the disk of the session store is full: it goes on when there is room again",
			slog.String("path", e.path), slog.String("doing", doing), slog.Any("err", cause))
	}
	return cause
}

// room notes that there is room again, if there was none.
func (e *engine) room(f *fullness, doing string) {
	if f.err.Swap(nil) != nil {
		e.opts.Logger.LogAttrs(context.Background(), slog.LevelInfo, "the disk of the session store has room again", slog.String("path", e.path), slog.String("doing", doing))
	}
}
