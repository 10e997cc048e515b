package storetest

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/store"
)

// listing returns many records of a store.
type listing func(e *env) iter.Seq2[store.Record, error]

func list(e *env) iter.Seq2[store.Record, error] { return capability[store.Lister](e.st).List(e.ctx) }

func listerCases() []testCase {
	return append(rulesOfList(list),
		testCase{"expired too", "List yields expired records too.", func(e *env) {
			rec := e.create(func(rec *store.Record) { rec.Expires = e.base.Add(-1) })
			require.Equal(e, []string{rec.ID}, ids(e.collect(list(e))))
		}},
	)
}

// rulesOfList are the rules of every listing. Their records have the user "ada" and the client
// "browser", and were seen at base.
func rulesOfList(all listing) []testCase {
	create := func(e *env, n int) (created []string) {
		for i := range n {
			created = append(created, e.create(ofAda, func(rec *store.Record) { rec.Data = counter(i) }).ID)
		}
		return created
	}
	return []testCase{
		{"nothing", "Yields every record that exists; of an empty store, none.", func(e *env) {
			require.Empty(e, e.collect(all(e)))
			rec := e.create(ofAda)
			e.destroy(rec.ID, true)
			require.Empty(e, e.collect(all(e)))
		}},
		{"everything once", "Yields every record that exists during the whole iteration, once.", func(e *env) {
			created := create(e, 300)
			require.ElementsMatch(e, created, ids(e.collect(all(e))))
			again := all(e) // an iterator may be used twice
			require.ElementsMatch(e, created, ids(e.collect(again)))
			require.ElementsMatch(e, created, ids(e.collect(again)))
		}},
		{"early break", "The loop may end at any record.", func(e *env) {
			create(e, 10)
			n := 0
			for _, err := range all(e) {
				require.NoError(e, err)
				if n++; n == 3 {
					break
				}
			}
			require.Equal(e, 3, n)
		}},
		{"aliasing", "Records are copied on their way out.", func(e *env) {
			rec := e.create(ofAda)
			for _, got := range e.collect(all(e)) {
				scribble(got.Data)
			}
			e.requireStored(rec)
		}},
		{
			"calls from the loop",
			"No lock is held while a record is being processed: the loop may call the store.", func(e *env) {
				created := create(e, 50)
				var yielded []string
				for rec, err := range all(e) {
					require.NoError(e, err)
					yielded = append(yielded, rec.ID)
					rec.Data = counter(1000)
					e.set(e.set(rec))
					e.create() // not one of ada's, but every listing of the store reads it
					e.collectSome(all)
					e.destroy(rec.ID, true)
				}
				require.Subset(e, yielded, created)
			},
		},
		{
			"concurrent changes",
			"Yields every record that exists during the whole iteration once; a record that is created or destroyed " +
				"meanwhile may be yielded or not.", func(e *env) {
				created := create(e, 200)
				e.listDuringChanges(all, created)
			},
		},
		{
			"context that ended",
			"When a context ends, the error matches its cause; after an error nothing more is yielded.", func(e *env) {
				create(e, 10)
				cause := errors.New("the caller has gone away")
				ctx, cancel := context.WithCancelCause(e.ctx)
				cancel(cause)
				stopped := &env{T: e.T, ctx: ctx, st: e.st}
				n := 0
				for _, err := range all(stopped) {
					require.ErrorIs(e, err, cause)
					n++
				}
				require.Equal(e, 1, n, "one error, and no record")
			},
		},
	}
}

func ofAda(rec *store.Record) { rec.UserID, rec.ClientID = "ada", "browser" }

// collectSome begins an iteration inside another one.
func (e *env) collectSome(all listing) {
	e.Helper()
	for _, err := range all(e) {
		require.NoError(e, err)
		break
	}
}

// listDuringChanges lists while every record is updated, touched and moved, and others are created
// and destroyed.
func (e *env) listDuringChanges(all listing, created []string) {
	e.Helper()
	e.duringChurn(created, func() {
		for range 5 {
			times := map[string]int{}
			for _, id := range ids(e.collect(all(e))) {
				times[id]++
			}
			for _, id := range created {
				require.Equal(e, 1, times[id], "how often a record that exists all the time is yielded")
			}
		}
	})
}

// duringChurn calls do while the records change continuously.
func (e *env) duringChurn(created []string, do func()) {
	e.Helper()
	done := make(chan struct{})
	failure := make(chan error, 1)
	go func() {
		defer close(failure)
		for round := 1; ; round++ {
			select {
			case <-done:
				return
			default:
			}
			if err := e.churn(round, created); err != nil {
				failure <- err
				return
			}
		}
	}()
	func() {
		defer close(done)
		do()
	}()
	require.NoError(e, <-failure)
}

// churn touches some of the records, later than before, and creates and destroys another one.
func (e *env) churn(round int, created []string) error {
	for i := round % 7; i < len(created); i += 7 {
		rec, err := e.st.Get(e.ctx, created[i])
		if err != nil {
			return fmt.Errorf("get: %w", err)
		}
		rec.Seen = rec.Seen.Add(1e9)
		if _, err := e.trySet(rec); err != nil {
			return fmt.Errorf("set: %w", err)
		}
	}
	passing := e.newRecord(ofAda)
	if _, err := e.trySet(passing); err != nil {
		return fmt.Errorf("create: %w", err)
	}
	_, err := e.st.Destroy(e.ctx, passing.ID)
	return err
}
