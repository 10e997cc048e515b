package storetest

import (
	"context"
	"iter"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/store"
)

// checkConsistency compares every listing of the store with the others and with Get. There must be
// no concurrent use of the store.
func (e *env) checkConsistency() {
	e.Helper()
	lister, ok := store.As[store.Lister](e.st)
	if !ok {
		return
	}
	all := map[string]store.Record{}
	for rec, err := range lister.List(e.ctx) {
		require.NoError(e, err, "List")
		_, listed := all[rec.ID] // require.NotContains would look at each key of the map
		require.False(e, listed, "List yields a record once: %s", rec.ID)
		all[rec.ID] = rec
		requireSame(e, e.get(rec.ID), rec)
		e.users[rec.UserID], e.clients[rec.ClientID] = true, true
	}
	if index, ok := store.As[store.UserIndex](e.st); ok {
		e.checkOwners("ByUser", all, e.users, index.ByUser, func(rec store.Record) string { return rec.UserID })
	}
	if index, ok := store.As[store.ClientIndex](e.st); ok {
		e.checkOwners("ByClient", all, e.clients, index.ByClient, func(rec store.Record) string { return rec.ClientID })
	}
	if index, ok := store.As[store.ActivityIndex](e.st); ok {
		for _, since := range sinces(all) {
			want := map[string]bool{}
			for id, rec := range all {
				if !rec.Seen.Before(since) {
					want[id] = true
				}
			}
			e.checkIndex("ActiveSince", all, index.ActiveSince(e.ctx, since), want)
		}
	}
	if _, ok := store.As[store.ActiveLister](e.st); ok {
		for _, since := range sinces(all) {
			for _, now := range []time.Time{e.base, e.base.Add(time.Minute)} {
				e.checkActive(all, since, now)
			}
		}
	}
}

// checkOwners fails unless the index yields the records of each owner. It reads the index
// concurrently, because a case may have had thousands of owners.
func (e *env) checkOwners(
	name string, all map[string]store.Record, owners map[string]bool,
	by func(ctx context.Context, owner string) iter.Seq2[store.Record, error], ownerOf func(store.Record) string,
) {
	e.Helper()
	type result struct {
		rec store.Record
		err error
	}
	names := slices.DeleteFunc(slices.Collect(maps.Keys(owners)), func(owner string) bool { return owner == "" })
	results := make([][]result, len(names))
	var next atomic.Int64
	inParallel(writers, func(int) {
		for i := next.Add(1) - 1; i < int64(len(names)); i = next.Add(1) - 1 {
			for rec, err := range by(e.ctx, names[i]) {
				if results[i] = append(results[i], result{rec, err}); len(results[i]) > 2*len(all) {
					break // it yields records more than once, which checkIndex reports
				}
			}
		}
	})
	want := map[string]map[string]bool{}
	for _, owner := range names {
		want[owner] = map[string]bool{}
	}
	for id, rec := range all {
		if ids := want[ownerOf(rec)]; ids != nil {
			ids[id] = true
		}
	}
	for i, owner := range names {
		yielded := func(yield func(store.Record, error) bool) {
			for _, r := range results[i] {
				if !yield(r.rec, r.err) {
					return
				}
			}
		}
		e.checkIndex(name, all, yielded, want[owner])
	}
}

// checkActive fails unless ListActive yields the records that were seen since and haven't expired.
func (e *env) checkActive(all map[string]store.Record, since, now time.Time) {
	e.Helper()
	want := map[string]string{}
	for id, rec := range all {
		if !rec.Seen.Before(since) && !rec.Expired(now) {
			want[id] = rec.UserID
		}
	}
	require.Equal(e, want, e.active(since, now), "ListActive agrees with List and Get")
}

// checkIndex fails unless the index yields the records with the IDs in want, the last seen first.
func (e *env) checkIndex(
	name string, all map[string]store.Record, index iter.Seq2[store.Record, error], want map[string]bool,
) {
	e.Helper()
	got := map[string]bool{}
	var before time.Time
	for rec, err := range index {
		require.NoError(e, err, name)
		require.False(e, got[rec.ID], "%s yields a record once", name)
		if len(got) > 0 {
			require.False(e, rec.Seen.After(before), "%s yields the last seen first", name)
		}
		before = rec.Seen
		got[rec.ID] = true
		listed, ok := all[rec.ID]
		require.True(e, ok, "%s yields existing records: %s", name, rec.ID)
		requireSame(e, listed, rec)
	}
	require.Equal(e, want, got, "%s agrees with List and Get", name)
}

// sinces returns times for ActiveSince: before all records, between them, and after all.
func sinces(all map[string]store.Record) []time.Time {
	seen := []time.Time{{}}
	for _, rec := range slices.Collect(maps.Values(all)) {
		seen = append(seen, rec.Seen)
	}
	slices.SortFunc(seen, time.Time.Compare)
	last := len(seen) - 1
	return []time.Time{{}, seen[last/2], seen[last], seen[last].Add(time.Millisecond)}
}
