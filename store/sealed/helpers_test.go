package sealed_test

import (
	"bytes"
	"context"
	"iter"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
	"github.com/sessionbridge/sessionbridge/store/sealed"
)

var noon = time.Date(2025, 1, 1, 12, 0, 0, 0, time.UTC)

// keyOf returns a key, the same for the same n.
func keyOf(n byte) []byte { return append(bytes.Repeat([]byte{n}, 31), 255-n) }

// seal returns a store around inner with the keys.
func seal(t testing.TB, inner store.Store, opts *sealed.Options, keys ...byte) *sealed.Store {
	t.Helper()
	var secrets [][]byte
	for _, n := range keys {
		secrets = append(secrets, keyOf(n))
	}
	st, err := sealed.New(inner, secrets, opts)
	require.NoError(t, err)
	return st
}

// quiet returns options without reports.
func quiet() *sealed.Options { return &sealed.Options{OnUnopenable: func(sealed.Unopenable) {}} }

// reports returns options whose reports are recorded.
func reports() (*sealed.Options, func() []sealed.Unopenable) {
	var mu sync.Mutex
	var all []sealed.Unopenable
	tell := func(u sealed.Unopenable) {
		mu.Lock()
		defer mu.Unlock()
		all = append(all, u)
	}
	return &sealed.Options{OnUnopenable: tell}, func() []sealed.Unopenable {
		mu.Lock()
		defer mu.Unlock()
		return all
	}
}

// newRecord returns a new record with every field that the inner store must not show.
func newRecord(changes ...func(*store.Record)) store.Record {
	rec := store.Record{
		ID: uuid.NewString(), TokenHash: store.TokenHash{1, 2, 3}, TokenGeneration: 2, LoginGeneration: 1,
		RotatedAt: noon.Add(time.Minute), Renewal: store.RenewalSeen, LoggedIn: noon.Add(time.Second),
		ClientID: "secret-client", UserID: "secret-user", Addr: "secret-addr", UserAgent: "secret-agent",
		Data:    []byte(`{"name":"secret-value","sb.flashes":["secret-flash"]}`),
		Created: noon, Seen: noon.Add(time.Hour), Expires: noon.Add(2 * time.Hour), Idle: time.Hour, Lifetime: 24 * time.Hour,
		Writes: 7, WriteID: store.WriteID(uuid.New()),
	}
	rec.PrevTokenHash[5] = 9
	for _, change := range changes {
		change(&rec)
	}
	return rec
}

// create stores a new record, and returns it as stored.
func create(t testing.TB, st store.Store, changes ...func(*store.Record)) store.Record {
	t.Helper()
	return set(t, st, newRecord(changes...))
}

func set(t testing.TB, st store.Store, rec store.Record) store.Record {
	t.Helper()
	revision, err := st.Set(t.Context(), rec)
	require.NoError(t, err)
	rec.Revision = revision
	return rec
}

func get(t testing.TB, st store.Store, id string) store.Record {
	t.Helper()
	rec, err := st.Get(t.Context(), id)
	require.NoError(t, err)
	return rec
}

// change stores a changed record in the inner store, as somebody with access to it can.
func change(t testing.TB, inner store.Store, id string, how func(*store.Record)) store.Record {
	t.Helper()
	rec := get(t, inner, id)
	how(&rec)
	return set(t, inner, rec)
}

// requireUnopenable fails unless the record can't be opened, is left as it is by everything that
// reads or writes it, and can be destroyed.
func requireUnopenable(t testing.TB, st *sealed.Store, inner store.Store, id string) {
	t.Helper()
	before := get(t, inner, id)
	_, err := st.Get(t.Context(), id)
	require.ErrorIs(t, err, sealed.ErrUnopenable)
	require.NotErrorIs(t, err, store.ErrNotFound)
	require.NotContains(t, err.Error(), id)
	for _, revision := range []uint64{0, before.Revision} {
		_, err = st.Set(t.Context(), newRecord(func(rec *store.Record) { rec.ID, rec.Revision = id, revision }))
		require.Error(t, err, "it is not overwritten")
	}
	require.NotContains(t, ids(t, list(t, st)), id)
	require.Equal(t, before, get(t, inner, id), "it is left as it is")
}

func list(t testing.TB, st store.Store) iter.Seq2[store.Record, error] {
	t.Helper()
	return capability[store.Lister](t, st).List(t.Context())
}

// capability returns the store as a C, which it must be.
func capability[C any](t testing.TB, st store.Store) C {
	t.Helper()
	c, ok := store.As[C](st)
	require.True(t, ok)
	return c
}

func ids(t testing.TB, all iter.Seq2[store.Record, error]) []string {
	t.Helper()
	found := []string{}
	for rec, err := range all {
		require.NoError(t, err)
		found = append(found, rec.ID)
	}
	return found
}

// byUser and byClient return the IDs of the records of the user or client.
func byUser(t testing.TB, st store.Store, userID string) []string {
	t.Helper()
	return ids(t, capability[store.UserIndex](t, st).ByUser(t.Context(), userID))
}

func byClient(t testing.TB, st store.Store, clientID string) []string {
	t.Helper()
	return ids(t, capability[store.ClientIndex](t, st).ByClient(t.Context(), clientID))
}

// bare is a store without optional capabilities.
type bare struct{ store.Store }

func newBare() bare { return bare{livestore.New()} }

// listing is a store that can only list.
type listing struct {
	store.Store
	store.Lister
}

// failing is a reader that fails once it is told to.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// ofClient sets the client and makes the record one without a user.
func ofClient(clientID string, began time.Time) func(*store.Record) {
	return func(rec *store.Record) {
		rec.ClientID, rec.UserID, rec.LoggedIn, rec.Created = clientID, "", time.Time{}, began
	}
}

// moving is a store whose new records are sealed with the key of another one.
type moving struct {
	*sealed.Store
	before *sealed.Store
}

func (m moving) Set(ctx context.Context, rec store.Record) (uint64, error) {
	if rec.Revision == 0 {
		return m.before.Set(ctx, rec)
	}
	return m.Store.Set(ctx, rec)
}

// mixedUp is a store that always answers with the record of one ID.
type mixedUp struct {
	store.Store
	id string
}

func (m mixedUp) Get(ctx context.Context, _ string) (store.Record, error) {
	return m.Store.Get(ctx, m.id)
}

// constant is a store with one record, which takes no time.
type constant struct{ rec store.Record }

func (c *constant) Get(context.Context, string) (store.Record, error) {
	rec := c.rec
	rec.Data = bytes.Clone(rec.Data)
	return rec, nil
}

func (c *constant) Set(_ context.Context, rec store.Record) (uint64, error) {
	c.rec = rec
	return 1, nil
}

func (c *constant) Destroy(context.Context, string) (bool, error) { return false, nil }
