package filestore

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/store"
)

// fullRun is one writer on a disk that is full for a while. It knows what was acknowledged, and
// what else may be stored.
type fullRun struct {
	t       *testing.T
	disk    *crashDisk
	st      *Store
	random  *rand.Rand
	current map[string]store.Record   // as the store says; without a revision: there is none
	maybe   map[string][]store.Record // since that was acknowledged
	refused int
}

const fullKeys = 12

// change does something to a session, and reports whether that was acknowledged.
func (r *fullRun) change() bool {
	r.t.Helper()
	id := fmt.Sprint("s", r.random.IntN(fullKeys))
	is := r.current[id]
	next := store.Record{ID: id, UserID: fmt.Sprint("user", r.random.IntN(3)), Revision: is.Revision, Data: fmt.Appendf(nil, `{"n":%d,"x":"%0*d"}`, r.random.Int64(), 1+r.random.IntN(3000), 0)}
	var err error
	if is.Revision > 0 && r.random.IntN(4) == 0 {
		next = store.Record{ID: id}
		_, err = r.st.Destroy(r.t.Context(), id)
	} else {
		next.Revision, err = r.st.Set(r.t.Context(), next)
	}
	if err != nil {
		require.ErrorIs(r.t, err, ErrFull)
		require.ErrorIs(r.t, err, errFull)
		require.NotErrorIs(r.t, err, ErrFailed)
		next.Revision = is.Revision + 1
		r.maybe[id] = append(r.maybe[id], next)
		r.refused++
		return false
	}
	r.current[id], r.maybe[id] = next, nil
	return true
}

// holdsRecord reports whether the store holds what the record says; a revision of 0: nothing.
func holdsRecord(st *Store, t *testing.T, want store.Record) bool {
	got, err := st.Get(t.Context(), want.ID)
	if errors.Is(err, store.ErrNotFound) {
		return want.Revision == 0 || want.Data == nil
	}
	require.NoError(t, err)
	return string(got.Data) == string(want.Data) && got.UserID == want.UserID
}

// look fails unless the store holds exactly what was acknowledged.
func (r *fullRun) look() {
	r.t.Helper()
	users := map[string]int{}
	for i := range fullKeys {
		want := r.current[fmt.Sprint("s", i)]
		want.ID = fmt.Sprint("s", i)
		require.True(r.t, holdsRecord(r.st, r.t, want), "s%d is as it was acknowledged last", i)
		if want.Revision > 0 && want.UserID != "" {
			users[want.UserID]++
		}
	}
	for i := range 3 {
		user, n := fmt.Sprint("user", i), 0
		for _, err := range r.st.ByUser(r.t.Context(), user) {
			require.NoError(r.t, err)
			n++
		}
		require.Equal(r.t, users[user], n, "the index finds what is there")
	}
}

// check fails unless what a power cut leaves has what was acknowledged, or wholly what was tried
// since.
func (r *fullRun) check(img image) {
	r.t.Helper()
	d := newCrashDisk(r.t, fastDir(r.t), img)
	st, err := open(d, d.path(), nil)
	require.NoError(r.t, err)
	defer func() { require.NoError(r.t, st.Close()) }()
	for i := range fullKeys {
		id := fmt.Sprint("s", i)
		want := r.current[id]
		want.ID = id
		require.True(r.t, holdsRecord(st, r.t, want) || slices.ContainsFunc(r.maybe[id], func(rec store.Record) bool { return holdsRecord(st, r.t, rec) }), "%s after a power cut", id)
	}
}

// TestG9_ADiskThatWasFullAndHasRoomAgain: changes go on without a restart. What was acknowledged is
// there, before and after a power cut at any time; what wasn't is wholly there after it, or not at
// all.
func TestG9_ADiskThatWasFullAndHasRoomAgain(t *testing.T) {
	t.Parallel()
	var refused [opCommit + 1]atomic.Int64
	t.Cleanup(func() {
		require.Positive(t, refused[opWrite].Load())
		require.Positive(t, refused[opSync].Load())
	})
	for _, op := range []operation{opWrite, opSync, opCommit} {
		for seed := range uint64(12) {
			t.Run(fmt.Sprint(op, " ", seed), func(t *testing.T) {
				t.Parallel() // they wait for the next look for space
				d := newCrashDisk(t, fastDir(t), nil)
				opts := smallOptions()
				if seed%4 == 3 {
					opts.SyncEvery = time.Millisecond
				}
				st, err := open(d, d.path(), &opts)
				require.NoError(t, err)
				r := &fullRun{t: t, disk: d, st: st, random: rand.New(rand.NewPCG(seed, uint64(op))), current: map[string]store.Record{}, maybe: map[string][]store.Record{}}
				for range r.random.IntN(200) {
					require.True(t, r.change())
				}
				d.mu.Lock()
				d.fault = &fault{op: op, nth: d.counts[op] + 1 + r.random.IntN(3), err: errFull, lasts: true, short: float64(seed%3) / 2.1}
				d.mu.Unlock()
				for range 60 {
					r.change()
				}
				if op == opCommit { // the log goes on
					require.ErrorIs(t, st.Optimize(t.Context()), errFull)
				}
				r.look()
				if opts.SyncEvery == 0 {
					r.check(d.synced())
					r.check(d.crash(r.random))
				}
				d.mu.Lock()
				d.fault = nil
				d.mu.Unlock()
				for !r.change() { // a checkpoint that the log waits for tries again within a second
				}
				for range 100 {
					require.True(t, r.change())
				}
				r.look()
				if opts.SyncEvery == 0 {
					r.check(d.synced())
					r.check(d.crash(r.random))
				}
				require.NoError(t, st.Ping(t.Context()))
				require.Eventually(t, func() bool { return st.engine.flush(t.Context(), true) == nil }, 20*time.Second, 10*time.Millisecond)
				r.look()
				require.NoError(t, st.Close())
				img, err := d.current()
				require.NoError(t, err)
				r.check(img)
				refused[op].Add(int64(r.refused))
			})
		}
	}
}

// TestADiskThatStaysFullKeepsNobodyFromClosing: the log has what was acknowledged.
func TestADiskThatStaysFullKeepsNobodyFromClosing(t *testing.T) {
	for _, op := range []operation{opWrite, opSync, opCommit} {
		t.Run(op.String(), func(t *testing.T) {
			d := newCrashDisk(t, fastDir(t), nil)
			opts := smallOptions()
			st, err := open(d, d.path(), &opts)
			require.NoError(t, err)
			_, err = st.Set(t.Context(), store.Record{ID: "first", Data: []byte("{}")})
			require.NoError(t, err)
			d.mu.Lock()
			d.fault = &fault{op: op, nth: d.counts[op] + 1, err: errFull, lasts: true}
			d.mu.Unlock()
			require.ErrorIs(t, st.Close(), errFull)
			d.fault = nil
			d.restart()
			st, err = open(d, d.path(), &opts)
			require.NoError(t, err)
			_, err = st.Get(t.Context(), "first")
			require.NoError(t, err)
			require.NoError(t, st.Close())
		})
	}
}

// TestPingSaysThatTheDiskIsFull, and that it isn't any more, though nobody changes anything.
func TestPingSaysThatTheDiskIsFull(t *testing.T) {
	t.Parallel() // it waits for the next look for space
	d := newCrashDisk(t, fastDir(t), nil)
	st, err := open(d, d.path(), nil)
	require.NoError(t, err)
	d.mu.Lock()
	d.fault = &fault{op: opSync, nth: d.counts[opSync] + 1, err: errFull, lasts: true}
	d.mu.Unlock()
	_, err = st.Set(t.Context(), store.Record{ID: "a", Data: []byte("{}")})
	require.ErrorIs(t, err, ErrFull)
	require.ErrorIs(t, st.Ping(t.Context()), ErrFull)
	_, err = st.Get(t.Context(), "a")
	require.ErrorIs(t, err, store.ErrNotFound)
	d.mu.Lock()
	d.fault = nil
	d.mu.Unlock()
	require.Eventually(t, func() bool { return st.Ping(t.Context()) == nil }, 20*time.Second, 10*time.Millisecond)
	require.NoError(t, st.Close())
}

func TestABrokenDiskIsNotAFullOne(t *testing.T) {
	require.True(t, isFull(fmt.Errorf("write: %w", syscall.ENOSPC)))
	require.False(t, isFull(errIO))
	require.False(t, isFull(nil))
}
