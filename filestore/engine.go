package filestore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sessionbridge/sessionbridge/filestore/internal/wal"
	"github.com/sessionbridge/sessionbridge/internal/ctxlock"
	"github.com/sessionbridge/sessionbridge/store"
)

// engine is shared by all apps of a store: the database, the log, and the two goroutines that write
// them.
type engine struct {
	opts     Options
	path     string
	disk     disk
	lock     *processLock
	database *database
	log      *wal.Log // used by the committer

	queue  queue
	spaces sync.Map // by name: *space
	epoch  atomic.Uint64

	failure atomic.Pointer[error]
	closing atomic.Bool
	closed  chan struct{} // closed at the end of close

	running      sync.WaitGroup // the goroutines
	committer    committer
	checkpointer checkpointer
	compaction   ctxlock.Lock // held while the database is replaced or copied
	backup       ctxlock.Lock // held during Backup
}

func newEngine(d disk, path string, opts Options, lock *processLock) *engine {
	opts.Logger = opts.Logger.With(slog.String("path", path))
	e := &engine{
		opts: opts, path: path, disk: d, lock: lock,
		queue:  queue{wake: make(chan struct{}, 1)},
		closed: make(chan struct{}),
		committer: committer{
			stop: make(chan struct{}), dirty: make(map[*space]struct{}),
			full: fullness{doing: "write the log", log: opts.Logger},
		},
		checkpointer: checkpointer{
			work: make(chan *checkpoint, 1),
			full: fullness{doing: "write the database", log: opts.Logger},
		},
	}
	e.epoch.Store(1) // a zero lookup has no epoch
	return e
}

// fail makes all later changes fail with the cause.
func (e *engine) fail(cause error) error {
	if e.failure.CompareAndSwap(nil, &cause) {
		e.opts.Logger.LogAttrs(context.Background(), slog.LevelError,
			"the session store can't be written and refuses changes until it is opened again",
			slog.Any("err", cause))
	}
	return e.failed()
}

// failed returns nil as long as changes are accepted.
func (e *engine) failed() error {
	if cause := e.failure.Load(); cause != nil {
		return fmt.Errorf("%w: %w", ErrFailed, *cause)
	}
	return nil
}

func (e *engine) space(name string) *space {
	sp, ok := e.spaces.Load(name)
	if !ok {
		sp, _ = e.spaces.LoadOrStore(name, newSpace(name))
	}
	return sp.(*space) //nolint:forcetypeassert // the map has nothing else
}

// lookUp looks the session up in the database, before the committer is asked to change it.
func (e *engine) lookUp(sp *space, key []byte) (lookup, error) {
	epoch := e.epoch.Load()
	if sp.newer(key) != nil {
		return lookup{}, nil // the committer finds it there, or looks it up if it is no longer there
	}
	v, err := sp.load(e.database, key)
	return lookup{epoch, v}, err
}

// do has the committer execute the op. If ctx ends first the change isn't made, unless the
// committer has begun: then its outcome is unknown, but a sweep is waited for, because the sessions
// that it removes must be returned.
func (e *engine) do(ctx context.Context, o *op) outcome {
	if !e.queue.enqueue(o) {
		return outcome{err: store.ErrClosed}
	}
	select {
	case <-o.done:
	case <-ctx.Done():
		if o.take() {
			return outcome{err: context.Cause(ctx)} // the op is still queued: it can't be reused
		}
		if o.kind == opSweep {
			<-o.done
			break
		}
		select { // the outcome may be there
		case <-o.done:
		default:
			return outcome{err: context.Cause(ctx)}
		}
	}
	out := o.outcome
	o.free()
	return out
}

// start starts the goroutines. The first checkpoint is of the changes that were recovered.
func (e *engine) start(recovered *checkpoint) {
	if recovered != nil {
		e.checkpointer.busy.TryLock() // nothing else has it yet
		e.checkpointer.begin(recovered)
	}
	e.running.Go(e.runCommitter)
	e.running.Go(e.runCheckpointer)
}

// close writes all changes to the database, so that the log is no longer needed. If they can't be
// written it returns the reason, and the log keeps them.
func (e *engine) close() error {
	if !e.closing.CompareAndSwap(false, true) {
		<-e.closed
		return nil
	}
	defer close(e.closed)
	_ = e.compaction.Lock(context.Background()) // Optimize and Backup give up first
	defer e.compaction.Unlock()
	e.queue.close()
	close(e.committer.stop)
	e.running.Wait()
	err := e.failed()
	if err == nil {
		err = wrap("close", e.database.update(head{id: e.log.ID(), log: e.log.Position()}.put))
	}
	return errors.Join(err, e.release())
}

// release closes the files.
func (e *engine) release() (err error) {
	if e.database != nil {
		err = e.database.close()
	}
	return errors.Join(err, e.log.Close(), e.lock.release())
}

// ready returns an error if the store is closed, or the context has ended.
func (e *engine) ready(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if e.closing.Load() {
		return store.ErrClosed
	}
	return nil
}

// A full disk doesn't make the store fail. An operation that has failed for lack of space alone is
// undone or repeated:
//
//   - A group that couldn't be written or synced is removed from the log and from the overlays, and
//     its callers get ErrFull.
//   - Groups that were written before it may be lost by a failed sync. The log has a copy of them
//     until they are synced, and writes them again.
//   - A checkpoint is made again from its beginning: the log and the overlays have all of it.
//
// After any other failure the content of the disk is unknown: see engine.fail.

// fullRetry is the interval at which the store looks for space, beside the attempt of each change.
const fullRetry = time.Second

// fullness is the state of a writer: whether the disk was full at its last attempt.
type fullness struct {
	doing string // what the writer does
	log   *slog.Logger
	last  atomic.Pointer[error]
}

// failed returns nil if there was space at the last attempt.
func (f *fullness) failed() error {
	if why := f.last.Load(); why != nil {
		return *why
	}
	return nil
}

// set records that there is no space, and returns the error for callers.
func (f *fullness) set(cause error) error {
	if !errors.Is(cause, ErrFull) {
		cause = fmt.Errorf("%w: %s: %w", ErrFull, f.doing, cause)
	}
	if f.last.Swap(&cause) == nil {
		f.log.LogAttrs(context.Background(), slog.LevelError,
			"the disk of the session store is full; changes are refused until it has space",
			slog.String("doing", f.doing), slog.Any("err", cause))
	}
	return cause
}

// clear records that there is space.
func (f *fullness) clear() {
	if f.last.Swap(nil) != nil {
		f.log.LogAttrs(context.Background(), slog.LevelInfo, "the disk of the session store has space again",
			slog.String("doing", f.doing))
	}
}
