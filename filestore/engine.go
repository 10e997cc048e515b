package filestore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/sessionbridge/sessionbridge/store"
)

// engine is what all apps of a store share: the database, the log, and the two goroutines that write them.
type engine struct {
	opts Options
	path string
	disk disk
	lock *processLock
	home *home

	queue  queue
	spaces sync.Map // by name: *space
	epoch  atomic.Uint64

	failure atomic.Pointer[failure]
	closing atomic.Bool
	closed  chan struct{} // closed at the end of close

	committer    committer
	checkpointer checkpointer
	compaction   exclusive // while the database is being replaced or copied
	backup       exclusive // while a copy of it is being sent
}

// failure is why nothing can be changed any more.
type failure struct{ cause error }

// fail makes every later change fail with the cause.
func (e *engine) fail(cause error) error {
	if e.failure.CompareAndSwap(nil, &failure{cause}) {
		e.opts.Logger.LogAttrs(context.Background(), slog.LevelError, "the session store can't be written and refuses changes until it is opened anew",
			slog.String("path", e.path), slog.Any("err", cause))
	}
	return e.failed()
}

// failed returns nil as long as changes can be made.
func (e *engine) failed() error {
	if f := e.failure.Load(); f != nil {
		return fmt.Errorf("%w: %w", ErrFailed, f.cause)
	}
	return nil
}

func (e *engine) space(name string) *space {
	if sp, ok := e.spaces.Load(name); ok {
		return sp.(*space) //nolint:forcetypeassert // nothing else is in there
	}
	sp, _ := e.spaces.LoadOrStore(name, newSpace(name))
	return sp.(*space) //nolint:forcetypeassert // likewise
}

// lookUp returns what is known of the session, before the committer is asked to change it.
func (e *engine) lookUp(sp *space, key []byte) (lookup, error) {
	known := lookup{epoch: e.epoch.Load()}
	if sp.newer(key) != nil {
		return lookup{}, nil // the committer knows better; if it no longer does, this is of no epoch
	}
	v, err := e.home.load(sp, key)
	known.version = v
	return known, err
}

// start starts the goroutines. The first checkpoint is of what recovery has found.
func (e *engine) start(recovered *checkpoint) {
	e.closed = make(chan struct{})
	e.epoch.Store(1) // the zero lookup is of no epoch
	e.queue.wake = make(chan struct{}, 1)
	e.committer.stop, e.committer.done = make(chan struct{}), make(chan struct{})
	e.checkpointer.work, e.checkpointer.done = make(chan *checkpoint, 1), make(chan struct{})
	e.checkpointer.busy, e.checkpointer.stuck = newExclusive(), make(chan struct{}, 1)
	if recovered != nil {
		e.checkpointer.busy.lock()
		e.checkpointer.begin(recovered)
	}
	go e.runCommitter()
	go e.runCheckpointer()
}

// close ends the store: what was acknowledged is brought into the database, the log isn't needed then. If changes couldn't be
// written it returns why; the log has them.
func (e *engine) close() error {
	if !e.closing.CompareAndSwap(false, true) {
		<-e.closed
		return nil
	}
	defer close(e.closed)
	e.compaction.lock() // whoever is at it gives up first
	defer e.compaction.unlock()
	e.queue.close()
	close(e.committer.stop)
	<-e.committer.done
	close(e.checkpointer.work)
	<-e.checkpointer.done
	err := e.failed()
	if err == nil {
		if err = e.markClosed(); err != nil {
			err = fmt.Errorf("filestore: close: %w", err)
		}
	}
	return errors.Join(err, e.home.close(), e.committer.log.close(), e.lock.release())
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

// exclusive is a lock that can be waited for with a context, and given up by another goroutine: a channel with room for one.
type exclusive chan struct{}

func newExclusive() exclusive { return make(exclusive, 1) }

func (x exclusive) lock()   { x <- struct{}{} }
func (x exclusive) unlock() { <-x }

func (x exclusive) tryLock() bool {
	select {
	case x <- struct{}{}:
		return true
	default:
		return false
	}
}

func (x exclusive) enter(ctx context.Context) (leave func(), err error) {
	select {
	case x <- struct{}{}:
		return x.unlock, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}
