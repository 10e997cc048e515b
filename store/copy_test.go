package store_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/store"
)

// listStore is a mapStore that lists its records. before is called before each Set.
type listStore struct {
	mapStore
	before func(store.Record) error
}

func newListStore() *listStore {
	return &listStore{mapStore: mapStore{records: map[string]store.Record{}}, before: func(store.Record) error { return nil }}
}

func (l *listStore) Set(ctx context.Context, rec store.Record) (uint64, error) {
	if err := l.before(rec); err != nil {
		return 0, err
	}
	return l.mapStore.Set(ctx, rec)
}

func (l *listStore) List(ctx context.Context) iter.Seq2[store.Record, error] {
	return func(yield func(store.Record, error) bool) {
		l.mu.Lock()
		ids := slices.Sorted(maps.Keys(l.records))
		l.mu.Unlock()
		for _, id := range ids {
			rec, err := l.Get(ctx, id)
			if errors.Is(err, store.ErrNotFound) {
				continue
			}
			if !yield(rec, err) || err != nil {
				return
			}
		}
	}
}

// write stores a session, with a value, as an application does. It returns the record as stored.
func (l *listStore) write(t *testing.T, id, value string) store.Record {
	t.Helper()
	rec, err := l.Get(t.Context(), id)
	if err != nil {
		rec = store.Record{
			ID: id, TokenHash: store.TokenHash{1}, TokenGeneration: 1, ClientID: "c", UserID: "u", Created: noon, Seen: noon,
		}
	}
	rec.Data = []byte(value)
	rec.Writes++
	rec.WriteID = store.WriteID{9, byte(rec.Writes)}
	_, err = l.Set(t.Context(), rec)
	require.NoError(t, err)
	rec, err = l.Get(t.Context(), id)
	require.NoError(t, err)
	return rec
}

// touch moves Seen of a session.
func (l *listStore) touch(t *testing.T, id string, seen time.Time) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	rec := l.records[id]
	rec.Seen = seen
	l.records[id] = rec
}

func (l *listStore) values() map[string]string {
	values := map[string]string{}
	for id, rec := range l.records {
		values[id] = string(rec.Data)
	}
	return values
}

// copied runs Copy, which must change n sessions.
func copied(t *testing.T, n int, from, to *listStore, opts store.CopyOptions) {
	t.Helper()
	changed, err := store.Copy(t.Context(), from, to, opts)
	require.NoError(t, err)
	require.Equal(t, n, changed)
}

func TestCopyCopiesWhatIsNew(t *testing.T) {
	from, to := newListStore(), newListStore()
	for i := range 1200 {
		from.write(t, fmt.Sprintf("id%d", i), "1")
	}
	var progress []int
	copied(t, 1200, from, to, store.CopyOptions{Progress: func(done int) { progress = append(progress, done) }})
	require.Equal(t, []int{512, 1024, 1200}, progress)
	require.Equal(t, from.values(), to.values())
	copied(t, 0, from, to, store.CopyOptions{})

	want := from.write(t, "id7", "2")
	from.write(t, "new", "1")
	from.touch(t, "id8", noon.Add(time.Minute))
	copied(t, 3, from, to, store.CopyOptions{})
	got := to.records["id7"]
	require.Equal(t, noon.Add(time.Minute), to.records["id8"].Seen)
	got.Revision, got.WriteID = want.Revision, want.WriteID
	require.Equal(t, want, got, "all but the revision and the WriteID")
	copied(t, 0, from, to, store.CopyOptions{})
}

func TestCopyLeavesOutWhatHasExpired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		from, to := newListStore(), newListStore()
		for id, expires := range map[string]time.Time{"past": time.Now(), "future": time.Now().Add(time.Second)} {
			_, err := from.Set(t.Context(), store.Record{ID: id, Expires: expires})
			require.NoError(t, err)
		}
		copied(t, 1, from, to, store.CopyOptions{})
		require.Contains(t, to.records, "future")
	})
}

// Of a session that the target has from elsewhere, or has changed, the one with more writes counts.
func TestCopyOfWhatTheTargetHasFromElsewhere(t *testing.T) {
	from, to := newListStore(), newListStore()
	to.write(t, "older", "to")
	from.write(t, "older", "1")
	from.write(t, "older", "from")
	from.write(t, "newer", "from")
	to.write(t, "newer", "1")
	to.write(t, "newer", "to")
	copied(t, 1, from, to, store.CopyOptions{})
	require.Equal(t, map[string]string{"older": "from", "newer": "to"}, to.values())
}

func TestCopyMirrors(t *testing.T) {
	from, to := newListStore(), newListStore()
	for _, id := range []string{"a", "b"} {
		from.write(t, id, "1")
	}
	copied(t, 2, from, to, store.CopyOptions{})
	_, err := from.Destroy(t.Context(), "a")
	require.NoError(t, err)
	copied(t, 0, from, to, store.CopyOptions{})
	require.Contains(t, to.records, "a")
	copied(t, 1, from, to, store.CopyOptions{Mirror: true})
	require.NotContains(t, to.records, "a")

	_, err = store.Copy(t.Context(), newListStore(), to, store.CopyOptions{Mirror: true})
	require.ErrorContains(t, err, "nothing is removed")
	require.Contains(t, to.records, "b")
	_, err = store.Copy(t.Context(), from, &mapStore{}, store.CopyOptions{Mirror: true})
	require.ErrorIs(t, err, errors.ErrUnsupported)
	require.ErrorContains(t, err, "Mirror needs a target that is a Lister: *store_test.mapStore is none")
	_, err = store.Copy(t.Context(), struct{ store.Lister }{from}, to, store.CopyOptions{Mirror: true})
	require.ErrorIs(t, err, errors.ErrUnsupported)
	require.ErrorContains(t, err, "Mirror needs a source that is a Store: struct { store.Lister } is none")
}

// A store that is its own target is a mistake. Through two handles nothing changes either, also of
// sessions that an earlier copy has brought.
func TestCopyOntoItself(t *testing.T) {
	from, st := newListStore(), newListStore()
	from.write(t, "copied", "1")
	copied(t, 1, from, st, store.CopyOptions{})
	st.write(t, "own", "1")
	_, err := store.Copy(t.Context(), st, st, store.CopyOptions{})
	require.EqualError(t, err, "store: copy: source and target are the same store: pass the one to copy to as the target")

	handle := struct{ *listStore }{st}
	n, err := store.Copy(t.Context(), handle, st, store.CopyOptions{})
	require.NoError(t, err)
	require.Zero(t, n)
	uncomparable := struct {
		*listStore
		_ []int
	}{listStore: st}
	n, err = store.Copy(t.Context(), uncomparable, uncomparable, store.CopyOptions{})
	require.NoError(t, err)
	require.Zero(t, n)
}

// Once the application uses the target, no session comes back that has ended there, and none that
// was changed there changes. Sessions that ended in the source before still end.
func TestCopyAfterTheSwitchBringsNothingBack(t *testing.T) {
	from, to := newListStore(), newListStore()
	for _, id := range []string{"ended there", "changed there", "changed here", "ended here", "kept"} {
		from.write(t, id, "1")
	}
	copied(t, 5, from, to, store.CopyOptions{})
	from.write(t, "changed here", "from")
	from.write(t, "changed there", "2")
	from.write(t, "changed there", "from")
	_, err := from.Destroy(t.Context(), "ended here")
	require.NoError(t, err)

	_, err = to.Destroy(t.Context(), "ended there")
	require.NoError(t, err)
	to.write(t, "changed there", "to")
	to.write(t, "begun there", "to")
	begun := to.records["begun there"]
	begun.Created = noon.Add(time.Hour)
	to.records["begun there"] = begun

	opts := store.CopyOptions{Mirror: true, Switched: noon.Add(time.Hour + time.Microsecond)}
	copied(t, 2, from, to, opts)
	require.Equal(t, map[string]string{
		"changed there": "to", "changed here": "from", "kept": "1", "begun there": "to",
	}, to.values())
	copied(t, 0, from, to, opts)
}

// A switch that hasn't happened yet is a mistake: sessions that begin in the target would be removed,
// and without Mirror nothing would be copied.
func TestCopyRefusesASwitchInTheFuture(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		from, to := newListStore(), newListStore()
		from.write(t, "new", "1")
		to.write(t, "begun there", "1")
		for _, mirror := range []bool{false, true} {
			opts := store.CopyOptions{Mirror: mirror, Switched: time.Now().Add(time.Millisecond)}
			n, err := store.Copy(t.Context(), from, to, opts)
			require.ErrorContains(t, err, "store: copy: Switched is in the future: 2000-01-01 00:00:00.001 +0000 UTC")
			require.Zero(t, n)
			require.Equal(t, map[string]string{"begun there": "1"}, to.values())
		}
		copied(t, 0, from, to, store.CopyOptions{Switched: time.Now()})
	})
}

// A copy goes on where it has failed. A session that others write at the same time is read again.
func TestCopyGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		from, to := newListStore(), newListStore()
		for i := range 100 {
			from.write(t, fmt.Sprintf("id%02d", i), "1")
		}
		broken := errors.New("broken")
		to.before = func(rec store.Record) error {
			if rec.ID == "id50" {
				return broken
			}
			return nil
		}
		n, err := store.Copy(t.Context(), from, to, store.CopyOptions{})
		require.ErrorIs(t, err, broken)
		require.EqualError(t, err, "store: copy: store in the target: broken")
		require.Len(t, to.records, n)

		busy := []error{store.ErrBusy, store.ErrConflict, store.ErrNotFound}
		to.before = func(rec store.Record) error {
			if rec.ID != "id50" || len(busy) == 0 {
				return nil
			}
			err := busy[0]
			busy = busy[1:]
			return err
		}
		copied(t, 100-n, from, to, store.CopyOptions{})
		require.Equal(t, from.values(), to.values())

		from.write(t, "id50", "2")
		to.before = func(store.Record) error { return store.ErrConflict }
		_, err = store.Copy(t.Context(), from, to, store.CopyOptions{})
		require.ErrorIs(t, err, store.ErrConflict)
		ctx, cancel := context.WithCancelCause(t.Context())
		to.before = func(store.Record) error { cancel(broken); return store.ErrBusy }
		_, err = store.Copy(ctx, from, to, store.CopyOptions{})
		require.ErrorIs(t, err, broken)
		_, err = store.Copy(ctx, from, to, store.CopyOptions{})
		require.ErrorIs(t, err, broken, "the end of the context before the first record")
	})
}

// A copy that is repeated stores only what has changed.
func ExampleCopy() {
	ctx := context.Background()
	from, to := newListStore(), newListStore()
	revision, _ := from.Set(ctx, store.Record{ID: "1", Data: []byte(`{"n":1}`)})
	_, _ = from.Set(ctx, store.Record{ID: "2", Data: []byte(`{"n":1}`)})
	n, err := store.Copy(ctx, from, to, store.CopyOptions{})
	fmt.Println(n, err)

	_, _ = from.Set(ctx, store.Record{ID: "1", Data: []byte(`{"n":2}`), Revision: revision})
	_, _ = from.Destroy(ctx, "2")
	n, err = store.Copy(ctx, from, to, store.CopyOptions{Mirror: true})
	rec, _ := to.Get(ctx, "1")
	fmt.Println(n, err, string(rec.Data))
	// Output:
	// 2 <nil>
	// 2 <nil> {"n":2}
}

// Of two calls of Copy at once the slower one, which has read a session before a login, doesn't
// bring its token back.
func TestCopyThatIsLateBringsNoOlderVersionBack(t *testing.T) {
	late, from, to := newListStore(), newListStore(), newListStore()
	from.write(t, "s", `{"n":1}`)
	late.records["s"] = from.records["s"]
	from.write(t, "s", `{"n":2}`)
	copied(t, 1, from, to, store.CopyOptions{})
	copied(t, 0, late, to, store.CopyOptions{})
	require.Equal(t, map[string]string{"s": `{"n":2}`}, to.values())
}
