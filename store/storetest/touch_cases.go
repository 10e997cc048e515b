package storetest

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/store"
)

func toucherCases() []testCase {
	return []testCase{
		{
			"forward",
			"Touch moves Seen of the record forward, and Expires by the same amount. It changes nothing else, not even " +
				"the Revision.",
			func(e *env) {
				rec := e.create(func(rec *store.Record) { rec.UserID = "ada" })
				for i := range 3 {
					step := time.Duration(i+1) * time.Minute
					rec.Seen, rec.Expires = rec.Seen.Add(step), rec.Expires.Add(step)
					e.touch(rec.ID, rec.Seen)
					e.requireStored(rec)
				}
				rec.Data = counter(1)
				rec = e.set(rec) // the touch has not changed the revision
				e.requireStored(rec)
			},
		},
		{"not back", "If the stored Seen is at or after seen, Touch does nothing.", func(e *env) {
			rec := e.create()
			e.touch(rec.ID, rec.Seen)
			e.requireStored(rec)
			e.touch(rec.ID, rec.Seen.Add(-time.Millisecond))
			e.requireStored(rec)
			e.touch(rec.ID, time.Time{})
			e.requireStored(rec)
		}},
		{"never expires", "Touch doesn't change a zero Expires, which means never.", func(e *env) {
			rec := e.create(func(rec *store.Record) { rec.Expires = time.Time{} })
			rec.Seen = rec.Seen.Add(time.Second)
			e.touch(rec.ID, rec.Seen)
			e.requireStored(rec)
		}},
		{"end of the lifetime", "Touch moves Expires up to the end of the record's lifetime.", func(e *env) {
			rec := e.create(func(rec *store.Record) { rec.Lifetime = 90 * time.Minute })
			rec.Seen, rec.Expires = rec.Seen.Add(45*time.Minute), rec.Created.Add(90*time.Minute)
			e.touch(rec.ID, rec.Seen)
			e.requireStored(rec)
		}},
		{"lifetime from the last login", "The lifetime counts from Record.Began: a login starts it again.", func(e *env) {
			rec := e.create(func(rec *store.Record) { rec.Lifetime = 90 * time.Minute })
			rec.LoggedIn, rec.Seen = rec.Created.Add(80*time.Minute), rec.Created.Add(80*time.Minute)
			rec.Expires = rec.Seen.Add(time.Hour)
			rec = e.set(rec)
			rec.Seen, rec.Expires = rec.Seen.Add(45*time.Minute), rec.LoggedIn.Add(90*time.Minute)
			e.touch(rec.ID, rec.Seen)
			e.requireStored(rec)
		}},
		{
			"after a shorter timeout",
			"Touch moves Expires by the same amount as Seen, so that it doesn't undo a Set that has shortened the " +
				"timeout.", func(e *env) {
				rec := e.create()
				rec.Idle, rec.Expires = time.Minute, rec.Seen.Add(time.Minute)
				rec = e.set(rec)
				rec.Seen, rec.Expires = rec.Seen.Add(time.Second), rec.Expires.Add(time.Second)
				e.touch(rec.ID, rec.Seen)
				e.requireStored(rec)
			},
		},
		{"missing", "Touch returns ErrNotFound if there is no such record.", func(e *env) {
			toucher := capability[store.Toucher](e.st)
			id := newID()
			require.ErrorIs(e, toucher.Touch(e.ctx, id, e.base), store.ErrNotFound)
			e.requireGone(id)
			rec := e.create()
			e.destroy(rec.ID, true)
			require.ErrorIs(e, toucher.Touch(e.ctx, rec.ID, e.base.Add(time.Minute)), store.ErrNotFound)
			e.requireGone(rec.ID)
		}},
		{"context that ended", "When a context ends, the error matches its cause.", func(e *env) {
			rec := e.create()
			ctx, cancel := context.WithCancel(e.ctx)
			cancel()
			err := capability[store.Toucher](e.st).Touch(ctx, rec.ID, e.base.Add(time.Minute))
			require.ErrorIs(e, err, context.Canceled)
			e.requireStored(rec)
		}},
		{
			"with a Set",
			"Seen never moves back: a Set of a record that was read before a touch keeps the touch.", func(e *env) {
				rec := e.create()
				e.touch(rec.ID, e.base.Add(time.Minute))
				rec.Data = counter(1)
				rec = e.set(rec)
				rec.Seen, rec.Expires = e.base.Add(time.Minute), e.base.Add(61*time.Minute)
				e.requireStored(rec)
			},
		},
		{"concurrent with Sets", "Touch and Set are atomic: concurrently, neither undoes the other.", touchDuringSets},
	}
}

func (e *env) touch(id string, seen time.Time) {
	e.Helper()
	require.NoError(e, capability[store.Toucher](e.st).Touch(e.ctx, id, seen))
}

func touchDuringSets(e *env) {
	const each = 25
	rec := e.create()
	failures := make([]error, writers)
	inParallel(writers, func(i int) {
		for n := range each {
			var err error
			if i%2 == 0 {
				var attempts atomic.Int64
				err = e.increment(rec.ID, &attempts)
			} else {
				seen := e.base.Add(time.Duration(n*writers+i) * time.Second)
				err = capability[store.Toucher](e.st).Touch(e.ctx, rec.ID, seen)
			}
			failures[i] = errors.Join(failures[i], err)
		}
	})
	require.NoError(e, errors.Join(failures...))
	got := e.get(rec.ID)
	n, err := counterOf(got)
	require.NoError(e, err)
	require.Equal(e, writers/2*each, n, "every Set counts")
	last := e.base.Add(time.Duration((each-1)*writers+writers-1) * time.Second)
	require.True(e, got.Seen.Equal(last), "the last touch counts: %s, want %s", got.Seen, last)
	require.True(e, got.Expires.Equal(last.Add(time.Hour)), "so does its expiry: %s", got.Expires)
}
