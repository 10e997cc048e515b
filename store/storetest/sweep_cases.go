package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/store"
)

func sweeperCases() []testCase {
	return []testCase{
		{"nothing", "Fewer than n records from Sweep mean that there are no more.", func(e *env) {
			require.Empty(e, e.sweep(time.Hour, 10))
		}},
		{
			"at or before now",
			"Sweep removes records whose Expires is at or before now, and returns them.",
			func(e *env) {
				before, at, after := e.expiring(59), e.expiring(60), e.expiring(61)
				swept := e.sweep(time.Minute, 10)
				require.Len(e, swept, 2)
				requireSame(e, before, swept[0])
				requireSame(e, at, swept[1])
				e.requireGone(before.ID)
				e.requireGone(at.ID)
				e.requireStored(after)
				require.Empty(e, e.sweep(time.Minute, 10))
			},
		},
		{"in order of expiry", "Sweep removes up to n records, in the order of Expires.", func(e *env) {
			want := make([]string, 100)
			for _, i := range rand.Perm(len(want)) {
				want[i] = e.expiring(i).ID
			}
			require.Equal(e, want[:30], ids(e.sweep(time.Hour, 30)))
			require.Equal(e, want[30:90], ids(e.sweep(89*time.Second, 80)))
			require.Equal(e, want[90:], ids(e.sweep(time.Hour, 100)))
		}},
		{"at most n", "Sweep removes up to n records.", func(e *env) {
			for range 5 {
				e.expiring(1)
			}
			require.Empty(e, e.sweep(time.Hour, 0))
			require.Len(e, e.sweep(time.Hour, 3), 3)
			require.Len(e, e.sweep(time.Hour, 3), 2)
		}},
		{"never", "A zero Expires means never.", func(e *env) {
			rec := e.create(func(rec *store.Record) { rec.Expires = time.Time{} })
			was := e.expiring(1)
			was.Expires = time.Time{}
			was = e.set(was)
			require.Empty(e, e.sweep(1000*24*time.Hour, 10))
			e.requireStored(rec)
			e.requireStored(was)
			was.Expires = e.base.Add(time.Second)
			was = e.set(was)
			require.Equal(e, []string{was.ID}, ids(e.sweep(time.Minute, 10)))
		}},
		{
			"later expiry",
			"Sweep uses the current Expires: a record whose Expires moved to a later time isn't due at the old one.",
			func(e *env) {
				rec, other := e.expiring(1), e.expiring(2)
				rec.Expires = e.base.Add(time.Hour)
				rec = e.set(rec)
				require.Equal(e, []string{other.ID}, ids(e.sweep(time.Minute, 10)))
				e.requireStored(rec)
				require.Equal(e, []string{rec.ID}, ids(e.sweep(time.Hour, 10)))
			},
		},
		{
			"earlier expiry",
			"Sweep uses the current Expires: a record whose Expires moved to an earlier time is due then.",
			func(e *env) {
				rec, other := e.expiring(3600), e.expiring(30)
				rec.Expires = e.base.Add(time.Second)
				rec = e.set(rec)
				require.Equal(e, []string{rec.ID, other.ID}, ids(e.sweep(time.Minute, 10)))
			},
		},
		{"touched record", "Touch moves Expires forward: the record isn't due at the old one.", func(e *env) {
			toucher, ok := store.As[store.Toucher](e.st)
			if !ok {
				e.Logf("%T has no Toucher", e.st)
				return
			}
			saved := e.expiring(1)
			require.NoError(e, toucher.Touch(e.ctx, saved.ID, saved.Seen.Add(time.Hour)))
			require.Empty(e, e.sweep(time.Minute, 10))
			require.Equal(e, []string{saved.ID}, ids(e.sweep(1000*time.Hour, 10)))
		}},
		{"aliasing", "Records are copied on their way out.", func(e *env) {
			rec := e.expiring(1)
			read := e.get(rec.ID)
			swept := e.sweep(time.Minute, 1)
			scribble(swept[0].Data)
			requireSame(e, rec, read)
		}},
		{
			"swept record",
			"A swept record is gone: an update returns ErrNotFound, a destroy returns false.",
			func(e *env) {
				rec := e.expiring(1)
				e.sweep(time.Minute, 1)
				_, err := e.trySet(rec)
				require.ErrorIs(e, err, store.ErrNotFound)
				e.destroy(rec.ID, false)
				e.requireGone(rec.ID)
			},
		},
		{"context that ended", "When a context ends, the error matches its cause.", func(e *env) {
			rec := e.expiring(1)
			ctx, cancel := context.WithCancel(e.ctx)
			cancel()
			_, err := capability[store.Sweeper](e.st).Sweep(ctx, e.base.Add(time.Hour), 10)
			require.ErrorIs(e, err, context.Canceled)
			e.requireStored(rec)
		}},
		{
			"many in pieces",
			"Each record is returned by only one call. Fewer than n records mean that there are no more.",
			sweepInPieces,
		},
		{
			"during Sets",
			"Set and Sweep are atomic: either the Set comes first and may extend the record, or the record is gone and " +
				"the Set gets ErrNotFound.",
			sweepDuringSets,
		},
	}
}

// expiring creates a record that expires that many seconds after base.
func (e *env) expiring(seconds int) store.Record {
	e.Helper()
	return e.create(func(rec *store.Record) { rec.Expires = e.base.Add(time.Duration(seconds) * time.Second) })
}

// sweep sweeps at that time after base.
func (e *env) sweep(later time.Duration, n int) []store.Record {
	e.Helper()
	recs, err := capability[store.Sweeper](e.st).Sweep(e.ctx, e.base.Add(later), n)
	require.NoError(e, err)
	require.LessOrEqual(e, len(recs), n)
	return recs
}

func sweepInPieces(e *env) {
	const (
		total    = 3000
		piece    = 300
		creators = 32
	)
	failures := make([]error, creators)
	inParallel(creators, func(i int) {
		for n := i; n < total; n += creators {
			rec := e.newRecord(func(rec *store.Record) {
				rec.Expires = e.base.Add(time.Duration(n) * time.Millisecond)
				rec.ClientID = fmt.Sprint("client-", n%(total/20))
			})
			_, err := e.trySet(rec)
			failures[i] = errors.Join(failures[i], err)
		}
	})
	require.NoError(e, errors.Join(failures...))
	kept := e.expiring(3600)

	var mu sync.Mutex
	times := map[string]int{}
	failures = make([]error, 4)
	inParallel(4, func(i int) {
		for range total { // a store that returns records repeatedly fails the count
			recs, err := capability[store.Sweeper](e.st).Sweep(e.ctx, e.base.Add(time.Minute), piece)
			mu.Lock()
			for _, rec := range recs {
				times[rec.ID]++
			}
			mu.Unlock()
			if err != nil || len(recs) < piece {
				failures[i] = err
				return
			}
		}
	})
	require.NoError(e, errors.Join(failures...))
	require.Len(e, times, total, "every due record is returned")
	for _, n := range times {
		require.Equal(e, 1, n, "by one call only")
	}
	e.requireStored(kept)
}

func sweepDuringSets(e *env) {
	const total = 400
	recs := make([]store.Record, total)
	for i := range recs {
		recs[i] = e.expiring(i % 10)
	}
	swept := map[string]bool{}
	var sweepErr error
	outcomes := make([]error, total)
	inParallel(writers, func(i int) {
		if i == 0 {
			for range total {
				var gone []store.Record
				if gone, sweepErr = capability[store.Sweeper](e.st).Sweep(e.ctx, e.base.Add(time.Minute), 3); sweepErr != nil {
					return
				}
				for _, rec := range gone {
					swept[rec.ID] = true
				}
			}
			return
		}
		for n := total - i; n >= 0; n -= writers - 1 {
			rec := recs[n]
			rec.Expires = e.base.Add(time.Hour)
			_, outcomes[n] = e.trySet(rec)
		}
	})
	require.NoError(e, sweepErr)
	for i, err := range outcomes {
		if swept[recs[i].ID] {
			require.ErrorIs(e, err, store.ErrNotFound)
			e.requireGone(recs[i].ID)
			continue
		}
		require.NoError(e, err)
		require.True(e, e.get(recs[i].ID).Expires.Equal(e.base.Add(time.Hour)))
	}
}
