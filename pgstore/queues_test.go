package pgstore_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/pgstore"
	"github.com/sessionbridge/sessionbridge/store"
)

// together calls do for 0 to n-1 at once, and returns the errors.
func together(n int, do func(i int) error) []error {
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { errs[i] = do(i) })
	}
	wg.Wait()
	return errs
}

// narrow is two processes with one connection each, so that operations at once share statements.
func narrow(t *testing.T) (stores [2]*pgstore.Store, schema string) {
	t.Helper()
	schema = newSchema()
	for i := range stores {
		stores[i] = open(t, server.Server(t).URL()+"?pool_max_conns=1", &pgstore.Options{Schema: schema})
	}
	return stores, schema
}

// TestG1_UpdatesThatShareStatements: no update of two processes is lost, and their statements don't
// wait for each other.
func TestG1_UpdatesThatShareStatements(t *testing.T) {
	t.Parallel()
	stores, _ := narrow(t)
	const sessions, writers, each = 12, 24, 8
	var ids []string
	for range sessions {
		ids = append(ids, create(t, stores[0], func(rec *store.Record) { rec.Writes = 0 }).ID)
	}
	require.NoError(t, errors.Join(together(writers, func(i int) error {
		st := stores[i%2]
		for n := 0; n < each; {
			rec, err := st.Get(t.Context(), ids[(i*7+n*5)%sessions])
			if err != nil {
				return err
			}
			rec.Writes++
			rec.WriteID = store.WriteID(uuid.New())
			switch _, err := st.Set(t.Context(), rec); {
			case err == nil:
				n++
			case !errors.Is(err, store.ErrConflict):
				return err
			}
		}
		return nil
	})...))
	total := 0
	for _, id := range ids {
		rec, err := stores[1].Get(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, rec.Writes+1, rec.Revision)
		total += int(rec.Writes)
	}
	require.Equal(t, writers*each, total)
}

// TestEachOfABatchHasItsOwnResult: sessions that are created, updated, changed by others, gone, logged
// in and locked, in one statement.
func TestEachOfABatchHasItsOwnResult(t *testing.T) {
	t.Parallel()
	stores, _ := narrow(t)
	st, other := stores[0], stores[1]
	holder := watch(t, other)
	unlock, err := other.LockUser(t.Context(), "locked")
	require.NoError(t, err)
	const kinds, n = 7, 70
	recs := make([]store.Record, n)
	want := []error{nil, nil, store.ErrConflict, store.ErrNotFound, nil, store.ErrBusy, store.ErrConflict}
	for i := range recs {
		switch i % kinds {
		case 0: // is created
			recs[i] = newRecord()
			continue
		case 6: // exists already
			recs[i] = create(t, st)
			recs[i].Revision = 0
			continue
		}
		recs[i] = create(t, st)
		switch i % kinds {
		case 2:
			_, err := other.Set(t.Context(), recs[i])
			require.NoError(t, err)
		case 3:
			_, err := other.Destroy(t.Context(), recs[i].ID)
			require.NoError(t, err)
		case 4:
			holder.hold(recs[i].ID, "")
			recs[i].UserID = "another"
		case 5:
			recs[i].UserID = "locked"
		}
		recs[i].Data = []byte(fmt.Sprintf(`{"n":%d}`, i))
	}
	revisions := make([]uint64, n)
	errs := together(n, func(i int) (err error) {
		revisions[i], err = st.Set(t.Context(), recs[i])
		return err
	})
	for i, err := range errs {
		if want[i%kinds] != nil {
			require.ErrorIs(t, err, want[i%kinds], "%d", i)
			continue
		}
		require.NoError(t, err, "%d", i)
		require.Equal(t, recs[i].Revision+1, revisions[i])
		recs[i].Revision = revisions[i]
		got, err := other.Get(t.Context(), recs[i].ID)
		require.NoError(t, err)
		require.Equal(t, recs[i], got)
	}
	require.Eventually(t, func() bool {
		holder.mu.Lock()
		defer holder.mu.Unlock()
		told := map[string]bool{}
		for _, c := range holder.changes {
			told[c.ID] = told[c.ID] || c.Kind == store.ChangeAccess
		}
		return len(told) == n/kinds && !slices.ContainsFunc(recs, func(rec store.Record) bool {
			return rec.UserID == "another" && !told[rec.ID]
		})
	}, patience, tick, "the holder of those with another user is notified, and of no others")
	require.NoError(t, unlock(t.Context()))

	seen := time.Now().Add(time.Hour).UTC().Truncate(time.Millisecond)
	for i, err := range together(n, func(i int) error { return st.Touch(t.Context(), recs[i].ID, seen) }) {
		if i%kinds == 3 {
			require.ErrorIs(t, err, store.ErrNotFound)
			continue
		}
		require.NoError(t, err)
	}
	for i, err := range together(n, func(i int) error {
		got, err := st.Get(t.Context(), recs[i].ID)
		if err == nil && (got.ID != recs[i].ID || !got.Seen.Equal(seen)) {
			err = fmt.Errorf("another record: %+v", got)
		}
		return err
	}) {
		if i%kinds == 3 {
			require.ErrorIs(t, err, store.ErrNotFound)
			continue
		}
		require.NoError(t, err)
	}
}

// TestAWriteThatIsRejectedHurtsNoOther: a value that PostgreSQL can't store, here in an index, fails
// only its own write.
func TestAWriteThatIsRejectedHurtsNoOther(t *testing.T) {
	t.Parallel()
	stores, _ := narrow(t)
	var long strings.Builder
	for long.Len() < 10_000 {
		long.WriteString(uuid.NewString()) // not to be compressed
	}
	errs := together(40, func(i int) error {
		rec := newRecord()
		if i%10 == 3 {
			rec.UserID = long.String()
		}
		_, err := stores[0].Set(t.Context(), rec)
		return err
	})
	for i, err := range errs {
		if i%10 == 3 {
			require.ErrorContains(t, err, "index row")
		} else {
			require.NoError(t, err)
		}
	}
}

// TestHotSession: writers of one session at two processes make progress, and Reserve gives one of them
// the session for itself.
func TestHotSession(t *testing.T) {
	t.Parallel()
	stores, schema := narrow(t)
	rec := create(t, stores[0])
	nodes := []*peer{watch(t, stores[0]), watch(t, stores[1])}
	release, err := nodes[0].Node.(store.Reserver).Reserve(t.Context(), rec.ID)
	require.NoError(t, err)
	// It lasts a second, which may be over before the others have tried.
	server.Server(t).Exec(t, "UPDATE "+quoted(schema)+".sessions SET reserved_until = reserved_until + interval '1 hour'")
	for _, err := range together(16, func(int) error {
		_, err := nodes[1].Node.(store.Store).Set(t.Context(), rec)
		return err
	}) {
		require.ErrorIs(t, err, store.ErrBusy)
	}
	won := 0
	for _, err := range together(16, func(int) error {
		_, err := nodes[0].Node.(store.Store).Set(t.Context(), rec)
		return err
	}) {
		if err == nil {
			won++
		} else {
			require.ErrorIs(t, err, store.ErrConflict)
		}
	}
	require.Equal(t, 1, won)
	require.NoError(t, release(t.Context()))
	rec.Revision++
	_, err = nodes[1].Node.(store.Store).Set(t.Context(), rec)
	require.NoError(t, err)
}

// asked is a context that reports when an operation waits for its end.
type asked struct {
	context.Context
	once   sync.Once
	waited chan struct{}
}

func (a *asked) Done() <-chan struct{} {
	a.once.Do(func() { close(a.waited) })
	return a.Context.Done()
}

// TestAWriteThatOutlastsItsCaller: a write that goes on when its context ends stores what
// it was given, whatever the caller does with its memory then.
func TestAWriteThatOutlastsItsCaller(t *testing.T) {
	t.Parallel()
	s, schema := server.Server(t), newSchema()
	st := open(t, s.URL()+"?pool_max_conns=1&application_name=outlasting", &pgstore.Options{Schema: schema})
	doomed, first, rec := create(t, st), create(t, st), create(t, st)
	tx, err := connectTo(t, s).Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "SELECT FROM "+quoted(schema)+".sessions WHERE id = $1 FOR UPDATE", doomed.ID)
	require.NoError(t, err)
	destroyed := make(chan error, 1)
	go func() { _, err := st.Destroy(t.Context(), doomed.ID); destroyed <- err }()
	require.Eventually(t, func() bool { return waiting(t, s, "outlasting") == 1 }, patience, tick)

	// The only connection is taken: the first write waits for it, and the second one for the first.
	set := func(rec store.Record) (cancel func()) {
		ctx, cancelled := context.WithCancel(t.Context())
		a, done := &asked{Context: ctx, waited: make(chan struct{})}, make(chan error, 1)
		go func() { _, err := st.Set(a, rec); done <- err }()
		<-a.waited
		return func() {
			cancelled()
			require.ErrorIs(t, <-done, context.Canceled)
		}
	}
	cancelFirst := set(first)
	cancel := set(rec)
	cancelFirst() // now the second one is executed
	cancel()
	want := string(rec.Data)
	copy(rec.Data, "overwritten")

	require.NoError(t, tx.Rollback(context.WithoutCancel(t.Context())))
	require.NoError(t, <-destroyed)
	got := store.Record{}
	for got.Revision != 2 {
		got, err = st.Get(t.Context(), rec.ID)
		require.NoError(t, err)
	}
	require.Equal(t, want, string(got.Data))
}
