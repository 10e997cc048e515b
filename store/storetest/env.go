package storetest

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"iter"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/store"
)

// env is the environment of a case: the store, and a base time that doesn't depend on later clock
// readings.
type env struct {
	*testing.T
	ctx  context.Context
	st   store.Store
	base time.Time // the current time, to the millisecond

	mu             sync.Mutex
	users, clients map[string]bool // of all records that this case has stored
}

func newEnv(t *testing.T, st store.Store) *env {
	t.Helper()
	return &env{
		T: t, ctx: t.Context(), st: st,
		base:  time.Now().UTC().Truncate(time.Millisecond),
		users: map[string]bool{}, clients: map[string]bool{},
	}
}

// newRecord returns a new record that was seen now and expires in an hour.
func (e *env) newRecord(changes ...func(*store.Record)) store.Record {
	rec := store.Record{
		ID:              newID(),
		TokenGeneration: 1,
		ClientID:        newID(),
		Data:            []byte(`{"n":0}`),
		Created:         e.base,
		Seen:            e.base,
		Expires:         e.base.Add(time.Hour),
		Idle:            time.Hour,
		WriteID:         newWriteID(),
	}
	rand.Read(rec.TokenHash[:])
	for _, change := range changes {
		change(&rec)
	}
	return rec
}

// create stores a new record and returns it with its revision.
func (e *env) create(changes ...func(*store.Record)) store.Record {
	e.Helper()
	rec := e.newRecord(changes...)
	return e.set(rec)
}

// set stores the record, which must succeed, and returns it with its new revision.
func (e *env) set(rec store.Record) store.Record {
	e.Helper()
	revision, err := e.trySet(rec)
	require.NoError(e, err)
	require.Greater(e, revision, rec.Revision, "the new revision is greater")
	rec.Revision = revision
	return rec
}

// trySet calls Set and remembers the user and the client for checkConsistency.
func (e *env) trySet(rec store.Record) (uint64, error) {
	e.mu.Lock()
	e.users[rec.UserID], e.clients[rec.ClientID] = true, true
	e.mu.Unlock()
	return e.st.Set(e.ctx, rec)
}

func (e *env) get(id string) store.Record {
	e.Helper()
	rec, err := e.st.Get(e.ctx, id)
	require.NoError(e, err)
	return rec
}

func (e *env) requireGone(id string) {
	e.Helper()
	_, err := e.st.Get(e.ctx, id)
	require.ErrorIs(e, err, store.ErrNotFound, "Get of a record that is gone")
}

// requireStored fails unless exactly want is stored.
func (e *env) requireStored(want store.Record) {
	e.Helper()
	requireSame(e, want, e.get(want.ID))
}

// requireSame compares all fields. Times are compared as instants.
func requireSame(t require.TestingT, want, got store.Record) {
	if h, ok := t.(interface{ Helper() }); ok {
		h.Helper()
	}
	if !same(want, got) { // describing each of thousands of records takes time
		require.Equal(t, describe(want), describe(got))
	}
}

// same reports whether the records are identical. It compares the arrays by itself, because
// reflect.DeepEqual calls itself for each of their bytes.
func same(a, b store.Record) bool {
	if a.TokenHash != b.TokenHash || a.PrevTokenHash != b.PrevTokenHash || a.WriteID != b.WriteID {
		return false
	}
	none := store.Record{}
	a.TokenHash, a.PrevTokenHash, a.WriteID = none.TokenHash, none.PrevTokenHash, none.WriteID
	b.TokenHash, b.PrevTokenHash, b.WriteID = none.TokenHash, none.PrevTokenHash, none.WriteID
	return reflect.DeepEqual(a, b)
}

// describe returns all fields, which a Record doesn't print, so that a failure shows the
// difference.
func describe(rec store.Record) map[string]string {
	at := func(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }
	return map[string]string{
		"ID": rec.ID,
		"Tokens": fmt.Sprintf("%x %x %d %d %d", rec.TokenHash[:], rec.PrevTokenHash[:],
			rec.TokenGeneration, rec.LoginGeneration, rec.Renewal),
		"RotatedAt": at(rec.RotatedAt),
		"LoggedIn":  at(rec.LoggedIn),
		"Created":   at(rec.Created),
		"Seen":      at(rec.Seen),
		"Expires":   at(rec.Expires),
		"ClientID":  rec.ClientID,
		"UserID":    rec.UserID,
		"Addr":      rec.Addr,
		"UserAgent": rec.UserAgent,
		"Data":      string(rec.Data),
		"Idle":      rec.Idle.String(),
		"Lifetime":  rec.Lifetime.String(),
		"Writes": fmt.Sprint(
			rec.Writes,
		),
		"Revision": fmt.Sprint(rec.Revision),
		"WriteID":  fmt.Sprintf("%x", rec.WriteID),
	}
}

// collect reads an iteration to its end.
func (e *env) collect(all iter.Seq2[store.Record, error]) []store.Record {
	e.Helper()
	var recs []store.Record
	for rec, err := range all {
		require.NoError(e, err)
		recs = append(recs, rec)
	}
	return recs
}

// inParallel runs fn for 0 … n-1, each in a goroutine, and waits for them. fn must not end the
// test.
func inParallel(n int, fn func(i int)) {
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-start
			fn(i)
		})
	}
	close(start)
	wg.Wait()
}

func ids(recs []store.Record) []string {
	ids := make([]string, len(recs))
	for i, rec := range recs {
		ids[i] = rec.ID
	}
	return ids
}

// counterOf returns the counter in the data.
func counterOf(rec store.Record) (int, error) {
	var values struct {
		N int `json:"n"`
	}
	if err := json.Unmarshal(rec.Data, &values); err != nil {
		return 0, fmt.Errorf("storetest: decoding data: %w", err)
	}
	return values.N, nil
}

func counter(n int) []byte { return fmt.Appendf(nil, `{"n":%d}`, n) }

// newID returns a UUIDv4.
func newID() string {
	b := newWriteID()
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

func newWriteID() (id store.WriteID) {
	rand.Read(id[:])
	return id
}
