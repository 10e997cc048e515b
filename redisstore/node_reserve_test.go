package redisstore_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/redistest"
	"github.com/sessionbridge/sessionbridge/store"
)

func TestReserve(t *testing.T) {
	t.Parallel()
	onEverySite(t, map[string]func(*site){
		"others are rejected until the release": othersWait,
		"a reservation expires":                 reservationEnds,
		"End compares the revision":             endedAsItWas,
	})
}

func (p *peer) reserve(id string) (release func()) {
	p.t.Helper()
	end, err := p.Node.(store.Reserver).Reserve(p.t.Context(), id)
	require.NoError(p.t, err)
	return func() {
		p.t.Helper()
		require.NoError(p.t, end(p.t.Context()))
	}
}

func othersWait(s *site) {
	a, b := s.node(), s.node()
	rec, other := a.set(newRecord()), a.set(newRecord())
	release := a.reserve(rec.ID)
	require.True(s, b.refused(rec))
	_, err := b.Node.(store.Reserver).Reserve(s.Context(), rec.ID)
	require.ErrorIs(s, err, store.ErrBusy)
	b.set(other)
	a.reserve(rec.ID) // again
	rec = a.set(rec)
	require.NoError(s, b.Node.(store.Toucher).Touch(s.Context(), rec.ID, rec.Seen))
	require.True(s, b.refused(rec))
	release()
	rec = b.set(rec)
	release() // no effect
	mine := b.reserve(rec.ID)
	release() // no longer a's: no effect
	require.True(s, a.refused(rec))
	mine()
	a.end(rec.ID, "x")

	gone := a.set(newRecord())
	a.reserve(gone.ID)
	b.end(gone.ID, "a reservation doesn't prevent the end")
}

func reservationEnds(s *site) {
	a, b := s.node(), s.node()
	rec := a.set(newRecord())
	a.reserve(rec.ID)
	require.True(s, b.refused(rec))
	require.Eventually(s, func() bool { return !b.refused(rec) }, patience, tick)
	require.Empty(s, s.keysOf("x"))
}

func endedAsItWas(s *site) {
	a, b := s.node(), s.node()
	rec := a.set(newRecord())
	b.hold(rec.ID, "")
	now := a.set(rec)
	b.expect(store.Change{Kind: store.ChangeStored, ID: rec.ID})
	was, err := a.End(s.Context(), rec.ID, "x", rec.Revision)
	require.ErrorIs(s, err, store.ErrConflict)
	require.False(s, was)
	_, err = a.Get(s.Context(), rec.ID)
	require.NoError(s, err)
	was, err = a.End(s.Context(), rec.ID, "x", now.Revision)
	require.NoError(s, err)
	require.True(s, was)
	b.expect(store.Change{Kind: store.ChangeEnded, ID: rec.ID, Reason: "x"})
	was, err = a.End(s.Context(), rec.ID, "x", now.Revision)
	require.NoError(s, err)
	require.False(s, was, "it is gone")
}

// TestReserveWithoutRedis: Reserve returns an error.
func TestReserveWithoutRedis(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := &site{T: t, servers: []*redistest.Server{server}, url: server.URL(), shards: 1}
	a := s.node()
	server.Kill()
	_, err := a.Node.(store.Reserver).Reserve(t.Context(), "any")
	require.Error(t, err)
	require.NotErrorIs(t, err, store.ErrBusy)
}
