package gateway_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
)

// hooked is a store in memory that calls hooks; nil: none.
type hooked struct {
	*livestore.Store
	touch func() error
	set   func() error
	swept func()
}

func (h *hooked) Touch(ctx context.Context, id string, seen time.Time) error {
	if h.touch != nil {
		if err := h.touch(); err != nil {
			return err
		}
	}
	return h.Store.Touch(ctx, id, seen)
}

func (h *hooked) Set(ctx context.Context, rec store.Record) (uint64, error) {
	if h.set != nil {
		if err := h.set(); err != nil {
			return 0, err
		}
	}
	return h.Store.Set(ctx, rec)
}

func (h *hooked) Sweep(ctx context.Context, now time.Time, n int) ([]store.Record, error) {
	recs, err := h.Store.Sweep(ctx, now, n)
	if h.swept != nil {
		h.swept()
	}
	return recs, err
}

// After a touch that failed, the next use touches again, even within the interval.
func TestTouchThatFailedIsTriedAgainAtTheNextUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := &hooked{Store: livestore.New()}
		g := newGateway(st)
		rec := create(t, g, `{"a":1}`)
		k := g.Acquire("s") // as a socket holds it
		defer k.Release()
		time.Sleep(10 * time.Minute)
		st.touch = func() error { return errors.New("down") }
		now := gateway.Now()
		require.NoError(t, g.Touch(t.Context(), k, &rec, now))
		require.Zero(t, g.Stats().Touches, "nothing has been stored")
		st.touch = nil
		require.NoError(t, g.Touch(t.Context(), k, &rec, now))
		stored, err := st.Get(t.Context(), "s")
		require.NoError(t, err)
		require.True(t, stored.Seen.Equal(now))
		require.EqualValues(t, 1, g.Stats().Touches)
	})
}

// A new session whose ID is taken is not created, and the other session doesn't change.
func TestCreateNeverTakesAnIDThatIsTaken(t *testing.T) {
	st := livestore.New()
	g := newGateway(st)
	before := create(t, g, `{"a":"theirs"}`)
	d, err := gateway.NewDraft(store.Record{ID: "s", ClientID: "other", TokenGeneration: 1, Data: []byte("{}"), Created: gateway.Now(), Idle: time.Hour})
	require.NoError(t, err)
	d.Set("a", "mine")
	require.ErrorIs(t, g.Commit(t.Context(), d, nil), gateway.ErrConflict)
	after, err := st.Get(t.Context(), "s")
	require.NoError(t, err)
	require.Equal(t, before.Revision, after.Revision)
	require.Equal(t, "c", after.ClientID)
}

// RetirePrevious for a token that has been replaced since changes nothing.
func TestRetirePreviousAfterAnotherRotationChangesNothing(t *testing.T) {
	st := livestore.New()
	g := newGateway(st)
	create(t, g, `{"a":1}`)
	rotate := func(hash byte, from uint64) store.Record {
		d := draft(t, g)
		d.ReplaceToken(store.TokenHash{hash}, from, nil)
		require.NoError(t, g.Commit(t.Context(), d, nil))
		return *d.Base()
	}
	presented := rotate(1, 1)
	rotate(2, 2)
	before, err := st.Get(t.Context(), "s")
	require.NoError(t, err)
	g.RetirePrevious(t.Context(), &presented, gateway.Now())
	after, err := st.Get(t.Context(), "s")
	require.NoError(t, err)
	require.Equal(t, before, after)
}

// A session that a sweep has removed is reported by the sweep, as expired. A Forget of it waits for
// that report.
func TestForgetWaitsForTheSweepThatHasRemovedTheSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ends []gateway.End
		st := &hooked{Store: livestore.New()}
		g := gateway.New(st, gateway.Config{
			TouchInterval: time.Minute, StoreTimeout: time.Minute, Failed: func(context.Context, string, string, error) {},
			Committed: func(gateway.Commit) {}, Watched: func() bool { return false }, Doubted: func(string) {},
			Ended: func(e gateway.End) { e.Later = nil; ends = append(ends, e) },
		})
		create(t, g, `{"a":1}`)
		time.Sleep(100 * time.Hour)
		missed := make(chan error, 1)
		st.swept = func() {
			go func() {
				_, err := g.Forget(t.Context(), "s", "somebody")
				missed <- err
			}()
			synctest.Wait()
		}
		n, err := g.Sweep(t.Context())
		require.NoError(t, err)
		require.Equal(t, 1, n)
		require.NoError(t, <-missed)
		require.Equal(t, gateway.End{ID: "s", ClientID: "c", Found: true}, ends[0])
	})
}

// A node whose clock is slow doesn't move a session's last activity back.
func TestActivityIsNeverMovedBack(t *testing.T) {
	st := livestore.New()
	g := newGateway(st)
	rec := create(t, g, `{"a":1}`)
	ahead := rec.Seen.Add(10 * time.Minute)
	rec.Seen = ahead
	_, err := st.Set(t.Context(), rec)
	require.NoError(t, err)
	d := draft(t, g)
	d.Set("a", 2)
	require.NoError(t, g.Commit(t.Context(), d, nil))
	require.True(t, d.Base().Seen.Equal(ahead))
	require.True(t, d.Base().Expires.After(ahead.Add(time.Hour)))
}

// If the only caller's wait ends at the moment at which its turn comes, no load is left over.
func TestSharedLoadWhoseOnlyCallerLeavesAtItsTurn(t *testing.T) {
	require.Zero(t, gateway.LeaveAtItsTurn())
}

func TestWritesCountsWhatWasStored(t *testing.T) {
	st := &hooked{Store: livestore.New()}
	g := newGateway(st)
	create(t, g, `{"a":1}`)
	require.EqualValues(t, 1, g.Stats().Writes)
	lost := draft(t, g)
	d := draft(t, g)
	d.Set("a", 2)
	require.NoError(t, g.Commit(t.Context(), d, nil))
	require.EqualValues(t, 2, g.Stats().Writes)
	k := g.Acquire("s")
	defer k.Release()
	lost.Set("a", 3)
	_, err := g.CommitExact(t.Context(), k, lost, nil)
	require.ErrorIs(t, err, store.ErrConflict)
	st.set = func() error { return errors.New("down") }
	d.Set("a", 4)
	require.ErrorIs(t, g.Commit(t.Context(), d, nil), gateway.ErrUnavailable)
	require.EqualValues(t, 2, g.Stats().Writes, "neither of them has been stored")
	require.EqualValues(t, 1, g.Stats().StoreErrors)
}
