package filestore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

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

	failure atomic.Pointer[failure]
	closing atomic.Bool
	closed  chan struct{} // closed at the end of close

	committer    committer
	checkpointer checkpointer
	compaction   ctxlock.Lock // held while the database is replaced or copied
	backup       ctxlock.Lock // held during Backup
}

// fail makes all later changes fail with the cause.
func (e *engine) fail(cause error) error {
	if e.failure.CompareAndSwap(nil, &failure{cause}) {
		e.opts.Logger.LogAttrs(context.Background(), slog.LevelError,
			"the session store can't be written and refuses changes until it is opened again",
			slog.String("path", e.path), slog.Any("err", cause))
	}
	return e.failed()
}

// failed returns nil as long as changes are accepted.
func (e *engine) failed() error {
	if f := e.failure.Load(); f != nil {
		return fmt.Errorf("%w: %w", ErrFailed, f.cause)
	}
	return nil
}

func (e *engine) space(name string) *space {
	if sp, ok := e.spaces.Load(name); ok {
		return sp.(*space) //nolint:forcetypeassert // the map has nothing else
	}
	sp, _ := e.spaces.LoadOrStore(name, newSpace(name))
	return sp.(*space) //nolint:forcetypeassert // likewise
}

// lookUp looks the session up in the database, before the committer is asked to change it.
func (e *engine) lookUp(sp *space, key []byte) (lookup, error) {
	known := lookup{epoch: e.epoch.Load()}
	if sp.newer(key) != nil {
		return lookup{}, nil // the committer finds it there, or looks it up if it is no longer there
	}
	v, err := sp.load(e.database, key)
	known.version = v
	return known, err
}

// do has the committer execute the op. If ctx ends first the change isn't made, unless the
// committer has begun: then its outcome is unknown. Sweeps are waited for once they have begun,
// because the sessions that they remove must be returned.
func (e *engine) do(ctx context.Context, o *op) outcome {
	if !e.queue.enqueue(o) {
		o.free()
		return outcome{err: store.ErrClosed}
	}
	select {
	case <-o.done:
	case <-ctx.Done():
		if o.state.CompareAndSwap(opWaiting, opAbandoned) {
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
	e.closed = make(chan struct{})
	e.epoch.Store(1) // a zero lookup has no epoch
	e.queue.wake = make(chan struct{}, 1)
	e.committer.start(e)
	e.checkpointer.start(e)
	if recovered != nil {
		e.checkpointer.busy.TryLock() // nothing else has it yet
		e.checkpointer.begin(recovered)
	}
	go e.runCommitter()
	go e.runCheckpointer()
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
	<-e.committer.done
	close(e.checkpointer.work)
	<-e.checkpointer.done
	err := e.failed()
	if err == nil {
		err = e.database.update(head{id: e.log.ID(), log: e.log.Position()}.put)
		if err != nil {
			err = fmt.Errorf("filestore: close: %w", err)
		}
	}
	return errors.Join(err, e.database.close(), e.log.Close(), e.lock.release())
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
