package storetest

import (
	"context"
	"errors"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/store"
)

// active returns what ListActive yields, as a map from ID to user.
func (e *env) active(since, now time.Time) map[string]string {
	e.Helper()
	users := map[string]string{}
	for a, err := range capability[store.ActiveLister](e.st).ListActive(e.ctx, since, now) {
		require.NoError(e, err)
		_, listed := users[a.ID]
		require.False(e, listed, "ListActive yields a record once: %s", a.ID)
		users[a.ID] = a.UserID
	}
	return users
}

func activeCases() []testCase {
	return []testCase{
		{
			"IDs and users since a time",
			"ListActive yields the ID and the user of each record whose Seen is at or after since.", func(e *env) {
				require.Empty(e, e.active(time.Time{}, e.base))
				want := map[string]string{}
				for i, user := range []string{"ada", "ada", "", "bob", "a:b", "constructor"} {
					rec := e.create(func(rec *store.Record) {
						rec.UserID, rec.Seen = user, e.base.Add(time.Duration(i)*time.Second)
					})
					if i >= 2 {
						want[rec.ID] = user
					}
				}
				require.Equal(e, want, e.active(e.base.Add(2*time.Second), e.base))
				require.Len(e, e.active(time.Time{}, e.base), 6)
				require.Empty(e, e.active(e.base.Add(6*time.Second), e.base))
			},
		},
		{"expired records", "ListActive yields no record that has expired at now.", func(e *env) {
			expired, alive := e.expiring(59), e.expiring(61)
			forever := e.create(func(rec *store.Record) { rec.Expires = time.Time{} })
			require.Len(e, e.active(e.base, e.base), 3)
			both := map[string]string{alive.ID: "", forever.ID: ""}
			require.Equal(e, both, e.active(e.base, e.base.Add(time.Minute)))
			require.Equal(e, both, e.active(e.base, alive.Expires.Add(-time.Millisecond)))
			active := e.active(e.base, alive.Expires)
			require.Equal(e, map[string]string{forever.ID: ""}, active, "at its Expires a record has expired")
			expired.Expires = e.base.Add(time.Hour)
			e.set(expired)
			require.Len(e, e.active(e.base, e.base.Add(time.Minute)), 3, "a record whose Expires has moved is alive")
		}},
		{
			"current values",
			"ListActive yields the records by their current Seen and user, and none that is gone.", func(e *env) {
				rec, other := e.create(), e.create()
				since := e.base.Add(time.Minute)
				require.Empty(e, e.active(since, e.base))
				rec.Seen, rec.UserID = since, "ada"
				rec = e.set(rec)
				require.Equal(e, map[string]string{rec.ID: "ada"}, e.active(since, e.base))
				rec.UserID = "bob"
				rec = e.set(rec)
				require.Equal(e, map[string]string{rec.ID: "bob"}, e.active(since, e.base))
				if toucher, ok := store.As[store.Toucher](e.st); ok {
					require.NoError(e, toucher.Touch(e.ctx, other.ID, since))
					require.Equal(e, map[string]string{rec.ID: "bob", other.ID: ""}, e.active(since, e.base))
				}
				e.destroy(rec.ID, true)
				e.destroy(other.ID, true)
				require.Empty(e, e.active(time.Time{}, e.base))
			},
		},
		{
			"many",
			"ListActive yields each record once, however many there are; the loop may end at any record, and may call the " +
				"store.",
			func(e *env) {
				want := map[string]string{}
				for i := range 500 {
					rec := e.create(func(rec *store.Record) {
						rec.UserID, rec.Seen = "ada", e.base.Add(time.Duration(i%250)*time.Second)
					})
					want[rec.ID] = "ada"
				}
				require.Equal(e, want, e.active(e.base, e.base))
				n := 0
				for a, err := range capability[store.ActiveLister](e.st).ListActive(e.ctx, e.base, e.base) {
					require.NoError(e, err)
					e.destroy(a.ID, true)
					delete(want, a.ID)
					if n++; n == 100 {
						break
					}
				}
				require.Equal(e, want, e.active(e.base, e.base))
			},
		},
		{
			"during changes",
			"ListActive yields every record that is active during the whole iteration, once.",
			func(e *env) {
				var created []string
				for range 200 {
					created = append(created, e.create(ofAda).ID)
				}
				e.duringChurn(created, func() {
					for range 5 {
						users := e.active(e.base, e.base)
						for _, id := range created {
							require.Equal(e, "ada", users[id], "the user of a record that exists all the time")
						}
					}
				})
			},
		},
		{
			"context that ended",
			"When a context ends, the error matches its cause; after an error nothing more is yielded.", func(e *env) {
				e.create()
				cause := errors.New("the caller has gone away")
				ctx, cancel := context.WithCancelCause(e.ctx)
				cancel(cause)
				n := 0
				for _, err := range capability[store.ActiveLister](e.st).ListActive(ctx, e.base, e.base) {
					require.ErrorIs(e, err, cause)
					n++
				}
				require.Equal(e, 1, n, "one error, and no record")
			},
		},
	}
}
