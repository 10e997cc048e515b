package filestore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"
)

// A full disk doesn't make the store fail. What has failed for lack of space alone is undone and
// tried again; what can't be undone is repeated:
//
//   - A group that couldn't be written or synced is removed from the log and from the overlays, and
//     its callers get ErrFull. The next group overwrites it.
//   - Groups that were written before it but not synced may be lost by a failed sync, although they
//     can be read. They are kept in memory until they are synced, and are written again.
//   - A checkpoint that couldn't be written is made again from its beginning: the log and the
//     overlays have all of it.
//
// After any other failure the content of the disk is unknown: see engine.fail.

// fullRetry is the interval at which the store looks for space, beside the attempt of each change.
const fullRetry = time.Second

// fullness is the state of a writer: whether the disk was full at its last attempt.
type fullness struct {
	doing string // what the writer does
	log   *slog.Logger
	path  string
	last  atomic.Pointer[failure]
}

// failed returns nil if there was space at the last attempt.
func (f *fullness) failed() error {
	if why := f.last.Load(); why != nil {
		return why.cause
	}
	return nil
}

// set records that there is no space, and returns the error for callers.
func (f *fullness) set(cause error) error {
	if !errors.Is(cause, ErrFull) {
		cause = fmt.Errorf("%w: %s: %w", ErrFull, f.doing, cause)
	}
	if f.last.Swap(&failure{cause}) == nil {
		f.log.LogAttrs(context.Background(), slog.LevelError,
			"the disk of the session store is full; changes are refused until it has space",
			slog.String("path", f.path), slog.String("doing", f.doing), slog.Any("err", cause))
	}
	return cause
}

// clear records that there is space.
func (f *fullness) clear() {
	if f.last.Swap(nil) != nil {
		f.log.LogAttrs(context.Background(), slog.LevelInfo, "the disk of the session store has space again",
			slog.String("path", f.path), slog.String("doing", f.doing))
	}
}

// failure is the reason why changes are refused.
type failure struct{ cause error }
