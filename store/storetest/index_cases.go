package storetest

import (
	"iter"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/store"
)

// keyed is an index on a field of the record.
type keyed struct {
	by    func(e *env, key string) iter.Seq2[store.Record, error]
	field func(rec *store.Record) *string
}

func userCases() []testCase {
	users := keyed{
		by: func(e *env, key string) iter.Seq2[store.Record, error] {
			return capability[store.UserIndex](e.st).ByUser(e.ctx, key)
		},
		field: func(rec *store.Record) *string { return &rec.UserID },
	}
	return append(users.cases("ada"), users.hostile()...)
}

func clientCases() []testCase {
	clients := keyed{
		by: func(e *env, key string) iter.Seq2[store.Record, error] {
			return capability[store.ClientIndex](e.st).ByClient(e.ctx, key)
		},
		field: func(rec *store.Record) *string { return &rec.ClientID },
	}
	return append(clients.cases("browser"), clients.hostile()...)
}

func (k keyed) cases(ofAda string) []testCase {
	with := func(key string) func(*store.Record) { return func(rec *store.Record) { *k.field(rec) = key } }
	return append(rulesOfList(func(e *env) iter.Seq2[store.Record, error] { return k.by(e, ofAda) }),
		testCase{"one value only", "Yields the records with the value, and no others.", func(e *env) {
			want := map[string][]string{}
			for _, key := range []string{"a", "a:b", "a:b:c", "b", "A", "a ", "ab", "é", "e\u0301", "{a}", "👩‍💻"} {
				for range 3 {
					want[key] = append(want[key], e.create(with(key)).ID)
				}
			}
			e.create(with(""))
			for key, created := range want {
				require.ElementsMatch(e, created, ids(e.collect(k.by(e, key))), "of %q", key)
			}
			require.Empty(e, e.collect(k.by(e, "nobody")))
		}},
		testCase{"newest first", "Yields the last seen first.", func(e *env) {
			want := e.createSeenAt(rand.Perm(40), with("a"))
			require.Equal(e, want, ids(e.collect(k.by(e, "a"))))
			oldest := e.get(want[len(want)-1])
			oldest.Seen = e.base.Add(time.Hour)
			e.set(oldest)
			want = append([]string{oldest.ID}, want[:len(want)-1]...)
			require.Equal(e, want, ids(e.collect(k.by(e, "a"))))
		}},
		testCase{"a changed value moves the record", "Yields the records by their current value.", func(e *env) {
			rec, other := e.create(with("")), e.create(with("a"))
			for _, key := range []string{"a", "b", "", "b", "b", "a"} {
				*k.field(&rec) = key
				rec = e.set(rec)
				for _, each := range []string{"a", "b"} {
					yielded := ids(e.collect(k.by(e, each)))
					require.Equal(e, each == key, slices.Contains(yielded, rec.ID), "by %q while it is %q", each, key)
					require.Equal(e, each == "a", slices.Contains(yielded, other.ID))
				}
			}
		}},
		testCase{"a conflict moves nothing", "A Set that returns ErrConflict has changed nothing.", func(e *env) {
			rec := e.create(with("a"))
			stale := rec
			rec = e.set(rec)
			*k.field(&stale) = "b"
			_, err := e.trySet(stale)
			require.ErrorIs(e, err, store.ErrConflict)
			require.Empty(e, e.collect(k.by(e, "b")))
			require.Equal(e, []string{rec.ID}, ids(e.collect(k.by(e, "a"))))
		}},
		testCase{"many come and go", "Yields every record with the value that exists.", func(e *env) {
			var here []string
			for i := range 200 {
				here = append(here, e.create(with("a")).ID)
				if i%3 > 0 {
					at := rand.IntN(len(here))
					e.destroy(here[at], true)
					here = slices.Delete(here, at, at+1)
				}
			}
			require.ElementsMatch(e, here, ids(e.collect(k.by(e, "a"))))
			for _, id := range here {
				e.destroy(id, true)
			}
			require.Empty(e, e.collect(k.by(e, "a")))
		}},
	)
}

func activityCases() []testCase {
	since := func(e *env, at time.Time) iter.Seq2[store.Record, error] {
		return capability[store.ActivityIndex](e.st).ActiveSince(e.ctx, at)
	}
	return append(rulesOfList(func(e *env) iter.Seq2[store.Record, error] { return since(e, e.base) }),
		testCase{"since", "Yields the records whose Seen is at or after since, the last seen first.", func(e *env) {
			want := e.createSeenAt(rand.Perm(300))
			for _, n := range []int{300, 299, 150, 1} {
				oldest := e.get(want[n-1])
				require.Equal(e, want[:n], ids(e.collect(since(e, oldest.Seen))))
			}
			require.Equal(e, want, ids(e.collect(since(e, time.Time{}))))
			require.Empty(e, e.collect(since(e, e.get(want[0]).Seen.Add(time.Millisecond))))
		}},
		testCase{"seen again", "Yields the records by their current Seen.", func(e *env) {
			want := e.createSeenAt(rand.Perm(100))
			for i := range 50 {
				at := rand.IntN(len(want))
				rec := e.get(want[at])
				rec.Seen = e.base.Add(time.Hour + time.Duration(i)*time.Second)
				e.set(rec)
				want = slices.Insert(slices.Delete(want, at, at+1), 0, rec.ID)
			}
			require.Equal(e, want, ids(e.collect(since(e, e.base))))
		}},
		testCase{"touched and swept", "A touch moves a record in the order; a sweep removes it.", func(e *env) {
			want := e.createSeenAt([]int{0, 1, 2, 3, 4})
			if toucher, ok := store.As[store.Toucher](e.st); ok {
				at := e.base.Add(time.Minute)
				require.NoError(e, toucher.Touch(e.ctx, want[3], at))
				require.Equal(e, []string{want[3]}, ids(e.collect(since(e, at))))
				want = []string{want[3], want[0], want[1], want[2], want[4]}
				require.Equal(e, want, ids(e.collect(since(e, e.base))))
			}
			if sweeper, ok := store.As[store.Sweeper](e.st); ok {
				rec := e.get(want[1])
				rec.Expires = e.base.Add(time.Second)
				e.set(rec)
				_, err := sweeper.Sweep(e.ctx, e.base.Add(time.Minute), 10)
				require.NoError(e, err)
				require.Equal(e, slices.Delete(want, 1, 2), ids(e.collect(since(e, e.base))))
			}
		}},
		testCase{"destroyed records", "Yields every record that exists.", func(e *env) {
			want := e.createSeenAt(rand.Perm(50))
			for len(want) > 10 {
				at := rand.IntN(len(want))
				e.destroy(want[at], true)
				want = slices.Delete(want, at, at+1)
			}
			require.Equal(e, want, ids(e.collect(since(e, e.base))))
		}},
	)
}

// createSeenAt creates records seen that many seconds after base, and returns their IDs, the last
// seen first.
func (e *env) createSeenAt(seconds []int, changes ...func(*store.Record)) []string {
	created := make([]string, len(seconds))
	for _, s := range seconds {
		rec := e.create(append(changes, func(rec *store.Record) {
			rec.Seen = e.base.Add(time.Duration(s) * time.Second)
		})...)
		created[len(seconds)-1-s] = rec.ID
	}
	return created
}
