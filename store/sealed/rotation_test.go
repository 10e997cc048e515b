package sealed_test

import (
	"context"
	"errors"
	"iter"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
	"github.com/sessionbridge/sessionbridge/store/sealed"
)

func TestS17_OlderKeysOpenAndTheFirstSeals(t *testing.T) {
	inner := livestore.New()
	rec := create(t, seal(t, inner, nil, 1))
	rotated := seal(t, inner, quiet(), 2, 1)
	require.Equal(t, rec, get(t, rotated, rec.ID))
	requireUnopenable(t, seal(t, inner, quiet(), 2), inner, rec.ID)
	rec = set(t, rotated, get(t, rotated, rec.ID))
	require.Equal(t, rec, get(t, seal(t, inner, quiet(), 2), rec.ID), "the next write seals with the first key")
	_, err := seal(t, inner, quiet(), 1).Get(t.Context(), rec.ID)
	require.ErrorIs(t, err, sealed.ErrUnopenable)
}

// TestLookupsFindRecordsUnderEveryKey: by user and client, in the right order, each once.
func TestLookupsFindRecordsUnderEveryKey(t *testing.T) {
	inner := livestore.New()
	before, after := seal(t, inner, nil, 1), seal(t, inner, nil, 2, 1)
	var want []string
	for i := range 6 {
		st := []*sealed.Store{before, after}[i%2]
		rec := create(t, st, func(rec *store.Record) {
			rec.Seen, rec.LoggedIn = noon.Add(time.Duration(i)*time.Minute), noon.Add(time.Duration(i)*time.Minute)
		})
		want = append([]string{rec.ID}, want...)
	}
	create(t, after, func(rec *store.Record) { rec.UserID, rec.ClientID = "other", "other" })
	check := func(st *sealed.Store) {
		t.Helper()
		require.Equal(t, want, byUser(t, st, "secret-user"))
		require.Equal(t, want, byClient(t, st, "secret-client"))
		for n := range 8 {
			recs, err := capability[store.ClientOrder](t, st).NewestByClient(t.Context(), "secret-client", n)
			require.NoError(t, err)
			var found []string
			for _, rec := range recs {
				found = append(found, rec.ID)
			}
			require.Equal(t, append([]string(nil), want[:min(n, len(want))]...), found)
		}
		require.Empty(t, byUser(t, st, "nobody"))
		require.Empty(t, byUser(t, st, ""))
		users := map[string]int{}
		for active, err := range capability[store.ActiveLister](t, st).ListActive(t.Context(), time.Time{}, noon) {
			require.NoError(t, err)
			users[active.UserID]++
		}
		require.Equal(t, map[string]int{"secret-user": 6, "other": 1}, users)
	}
	check(after)
	done, err := after.Rewrap(t.Context(), nil)
	require.NoError(t, err)
	require.Equal(t, sealed.Rewrapped{Read: 7, Rewrapped: 3}, done)
	check(after)
	check(seal(t, inner, nil, 2))
	require.Empty(t, byUser(t, seal(t, inner, quiet(), 1), "secret-user"))
}

// TestSurplusUnderSeveralKeys: the sessions of a client count together.
func TestSurplusUnderSeveralKeys(t *testing.T) {
	inner := livestore.New()
	before, after := seal(t, inner, nil, 1), seal(t, inner, nil, 2, 1)
	surplus := func(keep, n int) []string {
		ids, err := capability[store.ClientOrder](t, after).SurplusByClient(t.Context(), "c", keep, n)
		require.NoError(t, err)
		return append([]string{}, ids...)
	}
	require.Empty(t, surplus(0, 10))
	var all []string // the oldest first
	for i := range 4 {
		all = append(all, create(t, before, ofClient("c", noon.Add(time.Duration(i)*time.Hour))).ID)
	}
	create(t, before, func(rec *store.Record) { rec.ClientID = "c" }) // has a user
	require.Equal(t, all[:2], surplus(2, 10), "under the older key only")
	for i := range 4 {
		rec := create(t, after, ofClient("c", noon.Add(time.Duration(i)*time.Hour+time.Minute)))
		all = slices.Insert(all, 2*i+1, rec.ID)
	}
	create(t, after, ofClient("d", noon))
	for keep := range 9 {
		for n := range 9 {
			surplusOf := all[:8-keep]
			require.Equal(t, append([]string{}, surplusOf[:min(n, len(surplusOf))]...), surplus(keep, n), "%d %d", keep, n)
		}
	}
}

func TestS17_RewrapGoesOnAfterAnInterruption(t *testing.T) {
	inner := livestore.New()
	before, after := seal(t, inner, nil, 1), seal(t, inner, nil, 2, 1)
	want := map[string]store.Record{}
	for range 700 {
		rec := create(t, before)
		want[rec.ID] = rec
	}
	var progress []sealed.Rewrapped
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	first, err := after.Rewrap(ctx, func(done sealed.Rewrapped) {
		progress = append(progress, done)
		cancel()
	})
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, sealed.Rewrapped{Read: 256, Rewrapped: 256}, first)
	require.Equal(t, []sealed.Rewrapped{first, first}, progress)
	require.Len(t, ids(t, list(t, after)), 700, "meanwhile all of them can be used")

	second, err := after.Rewrap(t.Context(), func(done sealed.Rewrapped) { progress = append(progress, done) })
	require.NoError(t, err)
	require.Equal(t, sealed.Rewrapped{Read: 700, Rewrapped: 700 - 256}, second)
	require.Equal(t, second, progress[len(progress)-1])
	third, err := after.Rewrap(t.Context(), nil)
	require.NoError(t, err)
	require.Equal(t, sealed.Rewrapped{Read: 700}, third)

	for rec, err := range list(t, seal(t, inner, nil, 2)) { // the older key is no longer needed
		require.NoError(t, err)
		was := want[rec.ID]
		was.Revision = rec.Revision
		require.Equal(t, was, rec, "nothing but the revision has changed")
		delete(want, rec.ID)
	}
	require.Empty(t, want)
}

// TestRewrapAndConcurrentChanges: of a record that is changed, destroyed or locked meanwhile, that
// counts.
func TestRewrapAndConcurrentChanges(t *testing.T) {
	inner := &meddled{Store: livestore.New()}
	before, after := seal(t, inner, nil, 1), seal(t, inner, nil, 2, 1)
	rec := create(t, before)
	meddle := func(how func() error) { inner.before = how }

	meddle(func() error {
		rec.Data = []byte(`{"n":2}`)
		rec = set(t, before, rec)
		return nil
	})
	done, err := after.Rewrap(t.Context(), nil)
	require.NoError(t, err)
	require.Equal(t, sealed.Rewrapped{Read: 1, Rewrapped: 1}, done)
	require.JSONEq(t, `{"n":2}`, string(get(t, seal(t, inner, nil, 2), rec.ID).Data))

	rec = create(t, before)
	meddle(func() error { return store.ErrBusy })
	done, err = after.Rewrap(t.Context(), nil)
	require.NoError(t, err)
	require.Equal(t, sealed.Rewrapped{Read: 2, Rewrapped: 1}, done)

	rec = create(t, before)
	meddle(func() error {
		_, err := before.Destroy(t.Context(), rec.ID)
		return err
	})
	done, err = after.Rewrap(t.Context(), nil)
	require.NoError(t, err)
	require.Equal(t, sealed.Rewrapped{Read: 3}, done)
	_, err = after.Get(t.Context(), rec.ID)
	require.ErrorIs(t, err, store.ErrNotFound, "it isn't brought back")

	create(t, before)
	broken := errors.New("disk full")
	meddle(func() error { return broken })
	_, err = after.Rewrap(t.Context(), nil)
	require.ErrorIs(t, err, broken)
}

func TestRewrapLeavesAndCountsWhatCantBeOpened(t *testing.T) {
	inner := livestore.New()
	lost, old := create(t, seal(t, inner, nil, 9)), create(t, seal(t, inner, nil, 1))
	opts, told := reports()
	st := seal(t, inner, opts, 2, 1)
	done, err := st.Rewrap(t.Context(), nil)
	require.NoError(t, err)
	require.Equal(t, sealed.Rewrapped{Read: 2, Rewrapped: 1, Unopenable: 1}, done)
	require.Len(t, told(), 1)
	require.Equal(t, []string{lost.ID}, told()[0].IDs)
	require.Equal(t, lost, get(t, seal(t, inner, nil, 9), lost.ID))
	require.Equal(t, old.Data, get(t, st, old.ID).Data)
}

func TestRewrapNeedsAList(t *testing.T) {
	_, err := seal(t, newBare(), nil, 1).Rewrap(t.Context(), nil)
	require.ErrorIs(t, err, errors.ErrUnsupported)

	inner := livestore.New()
	create(t, seal(t, inner, nil, 1))
	done, err := seal(t, active{inner, inner}, nil, 2, 1).Rewrap(t.Context(), nil)
	require.NoError(t, err)
	require.Equal(t, 1, done.Rewrapped)

	broken := errors.New("broken")
	_, err = seal(t, listing{inner, brokenList{broken}}, nil, 2, 1).Rewrap(t.Context(), nil)
	require.ErrorIs(t, err, broken)
}

// active is a store that can only list by activity.
type active struct {
	store.Store
	store.ActivityIndex
}

// meddled is a store with something that happens before its next Set.
type meddled struct {
	*livestore.Store
	before func() error
}

func (m *meddled) Set(ctx context.Context, rec store.Record) (uint64, error) {
	if how := m.before; how != nil {
		m.before = nil
		if err := how(); err != nil {
			return 0, err
		}
	}
	return m.Store.Set(ctx, rec)
}

// brokenList fails.
type brokenList struct{ err error }

func (b brokenList) List(context.Context) iter.Seq2[store.Record, error] {
	return func(yield func(store.Record, error) bool) { yield(store.Record{}, b.err) }
}
