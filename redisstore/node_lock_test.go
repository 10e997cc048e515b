package redisstore_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/redistest"
	"github.com/sessionbridge/sessionbridge/redisstore"
	"github.com/sessionbridge/sessionbridge/store"
)

func withTimeout(t *testing.T, d time.Duration) (context.Context, context.CancelFunc) {
	t.Helper()
	return context.WithTimeout(t.Context(), d)
}

func TestLockUser(t *testing.T) {
	t.Parallel()
	onEverySite(t, map[string]func(*site){
		"a login has to wait until the lock is gone, in every process":       loginWaits,
		"what isn't a login, or another user's, doesn't wait":                othersDontWait,
		"several may hold a lock, and the last who unlocks ends it":          severalOwners,
		"sessions stored before the lock are found, and none comes after it": noneSlipsThrough,
	})
}

// lock locks the logins of ada.
func (p *peer) lock() (unlock func()) {
	p.t.Helper()
	end, err := p.Node.(store.UserLocker).LockUser(p.t.Context(), "ada")
	require.NoError(p.t, err)
	return func() {
		p.t.Helper()
		require.NoError(p.t, end(p.t.Context()))
	}
}

// refused reports whether a Set is one that has to wait.
func (p *peer) refused(rec store.Record) bool {
	p.t.Helper()
	_, err := p.Set(p.t.Context(), rec)
	if err != nil {
		require.ErrorIs(p.t, err, store.ErrBusy)
	}
	return err != nil
}

func loginWaits(s *site) {
	a, b := s.node(), s.node()
	mine, guest := b.set(newRecord()), b.set(newRecord(func(rec *store.Record) { rec.UserID = "" }))
	unlock := a.lock()
	mine.TokenHash[0]++
	guest.UserID = "ada"
	fresh := newRecord()
	for _, rec := range []store.Record{mine, guest, fresh} {
		require.True(s, b.refused(rec))
		require.True(s, a.refused(rec), "also where the lock is from")
	}
	_, err := b.Get(s.Context(), fresh.ID)
	require.ErrorIs(s, err, store.ErrNotFound)
	unlock()
	b.set(fresh)
	b.set(mine)
	b.set(guest)
}

func othersDontWait(s *site) {
	a := s.node()
	mine, gone := a.set(newRecord()), a.set(newRecord())
	stale := mine
	stale.Revision, stale.TokenHash[0] = stale.Revision+1, 9
	unlock := a.lock()
	mine.Data = []byte(`{"n":1}`)
	mine = a.set(mine)
	_, err := a.Set(s.Context(), newRecord(func(rec *store.Record) { rec.UserID = "bob" }))
	require.NoError(s, err)
	stale.Revision += 5
	_, err = a.Set(s.Context(), stale)
	require.ErrorIs(s, err, store.ErrConflict, "one that fails anyway needn't wait")
	mine.UserID = "" // logged out
	a.set(mine)
	a.end(gone.ID, "x")
	unlock()
	require.Empty(s, s.keysOf("l"))
}

func severalOwners(s *site) {
	a, b := s.node(), s.node()
	first, second := a.lock(), b.lock()
	third := a.lock()
	rec := newRecord()
	first()
	require.True(s, a.refused(rec))
	first() // again: nothing
	third()
	require.True(s, a.refused(rec))
	second()
	require.False(s, a.refused(rec))
}

// noneSlipsThrough: everybody logs in while everybody is logged out, and after each time nobody is
// there until the lock is gone.
func noneSlipsThrough(s *site) {
	a, b := s.node(), s.node()
	stop := make(chan struct{})
	failed := make(chan error, 8)
	for i := range cap(failed) {
		go func() {
			p := []*peer{a, b}[i%2]
			for {
				select {
				case <-stop:
					failed <- nil
					return
				default:
				}
				if _, err := p.Set(s.Context(), newRecord()); err != nil && !errors.Is(err, store.ErrBusy) {
					failed <- err
					return
				}
			}
		}()
	}
	for range 5 {
		unlock := a.lock()
		users := a.Node.(store.UserIndex)
		for _, id := range collect(s, users.ByUser(s.Context(), "ada")) {
			a.end(id, "all")
		}
		require.Empty(s, collect(s, users.ByUser(s.Context(), "ada")))
		unlock()
	}
	close(stop)
	for range cap(failed) {
		require.NoError(s, <-failed)
	}
}

// TestLockOfTheDead ends by itself after 10 seconds; a living one is prolonged.
func TestLockOfTheDead(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	clock := server.Clock()
	living, dead := open(t, server.URL(), &redisstore.Options{Shards: 3}), open(t, server.URL(), nil)
	unlock, err := living.LockUser(t.Context(), "bob")
	require.NoError(t, err)
	locked := time.Now()
	_, err = dead.LockUser(t.Context(), "ada")
	require.NoError(t, err)
	require.NoError(t, dead.Close()) // without an unlock
	closed := clock.Elapsed()
	_, err = living.Set(t.Context(), newRecord())
	require.ErrorIs(t, err, store.ErrBusy)
	for i := range 6 { // in each shard
		require.Eventually(t, func() bool { _, err := living.Set(t.Context(), newRecord()); return err == nil }, patience, tick)
		if i == 0 {
			require.Greater(t, time.Since(locked), 9*time.Second)
		}
	}
	require.Less(t, clock.Elapsed()-closed, 11*time.Second)
	_, err = living.Set(t.Context(), newRecord(func(rec *store.Record) { rec.UserID = "bob" }))
	require.ErrorIs(t, err, store.ErrBusy, "after more than 10 seconds")
	require.NoError(t, unlock(t.Context()))
	_, err = living.Set(t.Context(), newRecord(func(rec *store.Record) { rec.UserID = "bob" }))
	require.NoError(t, err)
}

// TestLockThatWasLost: whoever relied on it hears of it.
func TestLockThatWasLost(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	st := open(t, server.URL(), nil)
	unlock, err := st.LockUser(t.Context(), "ada")
	require.NoError(t, err)
	flushed(server)
	require.ErrorIs(t, unlock(t.Context()), redisstore.ErrLockLost)
	require.NoError(t, unlock(t.Context()), "again")

	unlock, err = st.LockUser(t.Context(), "ada")
	require.NoError(t, err)
	flushed(server)
	require.Eventually(t, func() bool { return len(keys(t, server)) == 1 }, patience, tick, "it is taken again")
	require.ErrorIs(t, unlock(t.Context()), redisstore.ErrLockLost)

	_, err = st.LockUser(canceled(t), "ada")
	require.ErrorIs(t, err, context.Canceled)
	server.Kill()
	_, err = st.LockUser(t.Context(), "ada")
	require.Error(t, err)
	require.NotErrorIs(t, err, store.ErrNotFound, fmt.Sprint(err))
}

func canceled(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}
