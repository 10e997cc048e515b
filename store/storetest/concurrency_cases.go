package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/store"
)

const writers = 8

// patience limits loops that a broken store would never end.
const patience = time.Minute

func concurrencyCases() []testCase {
	return []testCase{
		{
			"writers on one revision",
			"Set is atomic for its ID: of several writers that name one revision, one succeeds and the others get " +
				"ErrConflict.", func(e *env) {
				rec := e.create()
				for round := range 20 {
					winner := e.race(func(i int) (uint64, error) {
						mine := rec
						mine.Data = counter(round*writers + i)
						return e.trySet(mine)
					}, store.ErrConflict)
					rec.Data = counter(round*writers + winner.index)
					rec.Revision = winner.revision
					e.requireStored(rec)
				}
			},
		},
		{
			"creators of one ID",
			"Set is atomic for its ID: of several writers that create it, one succeeds and the others get ErrConflict.",
			func(e *env) {
				for range 20 {
					rec := e.newRecord()
					winner := e.race(func(i int) (uint64, error) {
						mine := rec
						mine.Data = counter(i)
						return e.trySet(mine)
					}, store.ErrConflict)
					rec.Data, rec.Revision = counter(winner.index), winner.revision
					e.requireStored(rec)
				}
			},
		},
		{
			"no lost update",
			"Set stores rec if rec.Revision is the stored revision: no acknowledged update is lost.", noLostUpdate,
		},
		{"destroyers of one ID", "Destroy is atomic for its ID: of several calls, one returns true.", func(e *env) {
			for range 20 {
				rec := e.create()
				var destroyed atomic.Int32
				failures := make([]error, writers)
				inParallel(writers, func(i int) {
					existed, err := e.st.Destroy(e.ctx, rec.ID)
					if existed {
						destroyed.Add(1)
					}
					failures[i] = err
				})
				require.NoError(e, errors.Join(failures...))
				require.EqualValues(e, 1, destroyed.Load())
				e.requireGone(rec.ID)
			}
		}},
		{
			"destroy during updates",
			"Set returns ErrNotFound if rec.Revision isn't 0 and the ID doesn't exist: no writer brings back a destroyed " +
				"record.",
			destroyDuringUpdates,
		},
		{"copies under load", "Records are copied on their way in and out, also under concurrent use.", func(e *env) {
			rec := e.create(func(rec *store.Record) { rec.Data = counter(1) })
			failures := make([]error, writers)
			inParallel(writers, func(i int) {
				for range 50 {
					got, err := e.st.Get(e.ctx, rec.ID)
					if err == nil && !bytes.Equal(got.Data, rec.Data) {
						err = fmt.Errorf("storetest: changed by another caller: %s", got.Data)
					}
					failures[i] = errors.Join(failures[i], err)
					scribble(got.Data)
				}
			})
			require.NoError(e, errors.Join(failures...))
			e.requireStored(rec)
		}},
	}
}

type winner struct {
	index    int
	revision uint64
}

// race runs set in several goroutines: one must succeed, and the others must get the error loss.
func (e *env) race(set func(i int) (uint64, error), loss error) winner {
	e.Helper()
	revisions, failures := make([]uint64, writers), make([]error, writers)
	inParallel(writers, func(i int) { revisions[i], failures[i] = set(i) })
	var winners []winner
	for i, err := range failures {
		if err == nil {
			winners = append(winners, winner{i, revisions[i]})
			continue
		}
		require.ErrorIs(e, err, loss)
	}
	require.Len(e, winners, 1, "exactly one writer wins")
	return winners[0]
}

func noLostUpdate(e *env) {
	const each = 10
	rec := e.create()
	failures := make([]error, writers)
	var attempts atomic.Int64
	inParallel(writers, func(i int) {
		for range each {
			failures[i] = errors.Join(failures[i], e.increment(rec.ID, &attempts))
		}
	})
	require.NoError(e, errors.Join(failures...))
	got := e.get(rec.ID)
	n, err := counterOf(got)
	require.NoError(e, err)
	require.Equal(e, writers*each, n, "the number of successful updates, of %d attempts", attempts.Load())
	require.EqualValues(e, writers*each, got.Writes)
}

// increment increments the record's counter, and retries after a conflict.
func (e *env) increment(id string, attempts *atomic.Int64) error {
	for stop := time.Now().Add(patience); time.Now().Before(stop); {
		attempts.Add(1)
		rec, err := e.st.Get(e.ctx, id)
		if err != nil {
			return err
		}
		n, err := counterOf(rec)
		if err != nil {
			return err
		}
		rec.Data, rec.WriteID = counter(n+1), newWriteID()
		rec.Writes++
		revision, err := e.trySet(rec)
		switch {
		case errors.Is(err, store.ErrConflict):
			continue
		case err == nil && revision <= rec.Revision:
			return errors.New("the new revision isn't greater")
		}
		return err
	}
	return errors.New("no update succeeded")
}

func destroyDuringUpdates(e *env) {
	for range 20 {
		rec := e.create(func(rec *store.Record) { rec.UserID = "ada" })
		failures := make([]error, writers)
		begun := make(chan struct{}, writers) // receives from each writer that has tried
		inParallel(writers, func(i int) {
			if i == 0 {
				for range writers - 1 {
					<-begun
				}
				_, failures[i] = e.st.Destroy(e.ctx, rec.ID)
				return
			}
			var attempts atomic.Int64
			failures[i] = e.increment(rec.ID, &attempts)
			begun <- struct{}{}
			for stop := time.Now().Add(patience); failures[i] == nil && time.Now().Before(stop); {
				runtime.Gosched() // on a busy machine the destroy would wait for a time slice of each writer
				failures[i] = e.increment(rec.ID, &attempts)
			}
		})
		require.NoError(e, failures[0])
		for _, err := range failures[1:] {
			require.ErrorIs(e, err, store.ErrNotFound)
		}
		e.requireGone(rec.ID)
	}
}
