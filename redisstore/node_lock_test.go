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
		"a login is rejected while the lock is held, by every process":    loginWaits,
		"other changes and logins of other users are not rejected":        othersDontWait,
		"several owners can hold a lock, until the last one unlocks it":   severalOwners,
		"sessions from before the lock are found, none is created during": noneSlipsThrough,
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

// refused reports whether Set returns ErrBusy.
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
		require.True(s, a.refused(rec), "also by the owner of the lock")
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
	require.ErrorIs(s, err, store.ErrConflict, "a conflict is reported first")
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
	first() // no effect
	third()
	require.True(s, a.refused(rec))
	second()
	require.False(s, a.refused(rec))
}

// noneSlipsThrough logs ada in continuously while all sessions of ada are ended under a lock. After
// that ada has no session until the lock is released.
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

// TestLockExpires after 10 seconds, unless it is renewed.
func TestLockExpires(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	clock := server.Clock()
	living, dead := open(t, server.URL(), &redisstore.Options{Shards: 3}), open(t, server.URL(), nil)
	unlock, err := living.LockUser(t.Context(), "bob")
	require.NoError(t, err)
	locked := time.Now()
	_, err = dead.LockUser(t.Context(), "ada")
	require.NoError(t, err)
	require.NoError(t, dead.Close()) // without unlocking
	closed := clock.Elapsed()
	_, err = living.Set(t.Context(), newRecord())
	require.ErrorIs(t, err, store.ErrBusy)
	for i := range 6 { // enough for each shard
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

// TestLockThatWasLost: unlock returns ErrLockLost.
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
	require.Eventually(t, func() bool { return len(keys(t, server)) == 1 }, patience, tick, "it is locked again")
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
