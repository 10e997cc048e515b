package filestore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/store"
)

// gatedDisk is a disk whose log is synced when the test says so.
type gatedDisk struct {
	osDisk
	syncs atomic.Int64
	gate  atomic.Pointer[chan struct{}] // nil: open
	at    chan struct{}                 // gets a value when somebody waits at the gate
}

func (d *gatedDisk) Open(name string) (file, error) {
	f, err := d.osDisk.Open(name)
	return gatedFile{f, d}, err
}

func (d *gatedDisk) close() (open func()) {
	gate := make(chan struct{})
	d.gate.Store(&gate)
	return func() {
		d.gate.Store(nil)
		close(gate)
	}
}

type gatedFile struct {
	file
	disk *gatedDisk
}

func (f gatedFile) Sync() error {
	f.disk.syncs.Add(1)
	if gate := f.disk.gate.Load(); gate != nil {
		f.disk.at <- struct{}{}
		<-*gate
	}
	return f.file.Sync()
}

func openGated(t *testing.T, opts *Options) (*gatedDisk, *Store) {
	t.Helper()
	d := &gatedDisk{at: make(chan struct{}, 100)}
	st, err := open(d, filepath.Join(fastDir(t), "sessions.db"), opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, st.Close()) })
	return d, st
}

func session(n int) store.Record {
	seen := time.Date(2025, 1, 1, 0, 0, n, 0, time.UTC)
	return store.Record{
		ID: fmt.Sprintf("session-%d", n), UserID: "ada", Data: []byte(strings.Repeat("x", 300)),
		Created: seen, Seen: seen, Expires: seen.Add(time.Hour), Idle: time.Hour,
	}
}

// TestChangesThatWaitTogetherShareASync: while one group is being synced, all that come become the next.
func TestChangesThatWaitTogetherShareASync(t *testing.T) {
	d, st := openGated(t, nil)
	release := d.close()
	before := d.syncs.Load()
	var all sync.WaitGroup
	failures := make(chan error, 100)
	all.Go(func() {
		_, err := st.Set(t.Context(), session(0))
		failures <- err
	})
	<-d.at
	for i := range 99 {
		all.Go(func() {
			_, err := st.Set(t.Context(), session(i+1))
			failures <- err
		})
	}
	require.Eventually(t, func() bool {
		st.engine.queue.mu.Lock()
		defer st.engine.queue.mu.Unlock()
		return len(st.engine.queue.ops) == 99
	}, time.Minute, time.Millisecond)
	release()
	all.Wait()
	for range 100 {
		require.NoError(t, <-failures)
	}
	require.EqualValues(t, 2, d.syncs.Load()-before)
}

// TestNothingIsSeenBeforeItIsDurable: not by a reader, not in an index, while the group is being synced.
func TestNothingIsSeenBeforeItIsDurable(t *testing.T) {
	d, st := openGated(t, nil)
	old := session(1)
	revision, err := st.Set(t.Context(), old)
	require.NoError(t, err)
	release := d.close()
	answered := make(chan error, 2)
	go func() {
		changed := old
		changed.Revision, changed.UserID = revision, "grace"
		_, err := st.Set(t.Context(), changed)
		answered <- err
	}()
	<-d.at
	go func() {
		_, err := st.Set(t.Context(), session(2))
		answered <- err
	}()
	got, err := st.Get(t.Context(), old.ID)
	require.NoError(t, err)
	require.Equal(t, "ada", got.UserID)
	for _, err := range st.ByUser(t.Context(), "grace") {
		t.Error("seen by user", err)
	}
	_, err = st.Get(t.Context(), session(2).ID)
	require.ErrorIs(t, err, store.ErrNotFound)
	release()
	require.NoError(t, <-answered)
	require.NoError(t, <-answered)
	got, err = st.Get(t.Context(), old.ID)
	require.NoError(t, err)
	require.Equal(t, "grace", got.UserID)
}

// TestWaitEndsWithItsContext: a change that the committer hasn't begun isn't made then; of one that it has, nobody knows.
func TestWaitEndsWithItsContext(t *testing.T) {
	d, st := openGated(t, nil)
	release := d.close()
	cause := errors.New("the client went away")
	begun, cancelBegun := context.WithCancelCause(t.Context())
	waiting, cancelWaiting := context.WithCancelCause(t.Context())
	first, second := make(chan error), make(chan error)
	go func() {
		_, err := st.Set(begun, session(1))
		first <- err
	}()
	<-d.at
	go func() {
		_, err := st.Set(waiting, session(2))
		second <- err
	}()
	cancelBegun(cause)
	require.ErrorIs(t, <-first, cause)
	cancelWaiting(cause)
	require.ErrorIs(t, <-second, cause)
	release()
	_, err := st.Set(t.Context(), session(3)) // after whatever else there was
	require.NoError(t, err)
	_, err = st.Get(t.Context(), session(2).ID)
	require.ErrorIs(t, err, store.ErrNotFound)
	_, err = st.Get(t.Context(), session(1).ID)
	require.NoError(t, err, "its group was being synced, and there was nothing wrong with it")
}

// TestTouchWaitsForNoSync: it is written with the next group, and synced with it.
func TestTouchWaitsForNoSync(t *testing.T) {
	d, st := openGated(t, nil)
	rec := session(1)
	_, err := st.Set(t.Context(), rec)
	require.NoError(t, err)
	before := d.syncs.Load()
	for i := range 50 {
		require.NoError(t, st.Touch(t.Context(), rec.ID, rec.Seen.Add(time.Duration(i)*time.Second)))
	}
	require.Equal(t, before, d.syncs.Load())
	got, err := st.Get(t.Context(), rec.ID)
	require.NoError(t, err)
	require.Equal(t, rec.Seen.Add(49*time.Second), got.Seen)
	_, err = st.Set(t.Context(), session(2))
	require.NoError(t, err)
	require.Equal(t, before+1, d.syncs.Load())
}

// TestSyncEvery: changes are answered before they are synced, and synced in time.
func TestSyncEvery(t *testing.T) {
	d, st := openGated(t, &Options{SyncEvery: 50 * time.Millisecond})
	before := d.syncs.Load()
	release := d.close()
	_, err := st.Set(t.Context(), session(1))
	require.NoError(t, err, "though the log can't be synced")
	<-d.at
	release()
	require.Equal(t, before+1, d.syncs.Load())
}

// mustTurn reports whether there is no room for the record in the log's segment. The store must have nothing to do.
func mustTurn(st *Store, rec store.Record) bool {
	o, e := newOp(opSet, st.space, rec.ID), st.engine
	o.value = makeValue(&rec)
	return !e.log.Fits(o.size()) || e.committer.changed > e.opts.segmentLimit()
}

// TestChangesWaitForALogThatIsFull: it doesn't grow beyond what it may; they go on when a checkpoint has made room.
func TestChangesWaitForALogThatIsFull(t *testing.T) {
	d, st := openGated(t, &Options{LogSize: minLogSize, CheckpointEvery: time.Hour})
	require.NoError(t, st.engine.checkpointer.busy.Lock(t.Context()))
	n := 0
	for ; !mustTurn(st, session(n)); n++ {
		_, err := st.Set(t.Context(), session(n))
		require.NoError(t, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err := st.Set(ctx, session(n))
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Greater(t, n, 100)
	st.engine.checkpointer.busy.Unlock()
	for i := range 2000 {
		_, err := st.Set(t.Context(), session(10_000+i))
		require.NoError(t, err)
	}
	for _, name := range logNames(st.engine.path) {
		info, err := os.Stat(name)
		require.NoError(t, err)
		require.LessOrEqual(t, info.Size(), int64(minLogSize/2))
	}
	require.Positive(t, d.syncs.Load())
}
