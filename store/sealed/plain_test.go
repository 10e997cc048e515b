package sealed_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
	"github.com/sessionbridge/sessionbridge/store/sealed"
)

func TestS17_PlainRecordsAreReadOnlyIfAsked(t *testing.T) {
	inner := livestore.New()
	rec := create(t, inner)
	requireUnopenable(t, seal(t, inner, quiet(), 1), inner, rec.ID)

	st := seal(t, inner, &sealed.Options{ReadPlain: true}, 1)
	require.Equal(t, rec, get(t, st, rec.ID))
	require.Equal(t, []string{rec.ID}, ids(t, list(t, st)))
	other := create(t, st, func(other *store.Record) { other.Seen = rec.Seen.Add(time.Minute) })
	require.Equal(t, []string{other.ID, rec.ID}, byUser(t, st, "secret-user"), "plain and sealed ones")
	require.Equal(t, []string{other.ID, rec.ID}, byClient(t, st, "secret-client"))
	for active, err := range capability[store.ActiveLister](t, st).ListActive(t.Context(), time.Time{}, noon) {
		require.NoError(t, err)
		require.Equal(t, "secret-user", active.UserID)
	}

	rec = set(t, st, rec) // the next write seals it
	require.NotContains(t, string(get(t, inner, rec.ID).Data), "secret")
	require.Equal(t, rec, get(t, seal(t, inner, quiet(), 1), rec.ID))
	require.Equal(t, []string{other.ID, rec.ID}, byUser(t, st, "secret-user"))
}

func TestS17_ASealedRecordCantBeReplacedByAPlainOne(t *testing.T) {
	inner := livestore.New()
	st := seal(t, inner, quiet(), 1)
	rec := create(t, st)
	change(t, inner, rec.ID, func(stored *store.Record) {
		*stored = rec
		stored.Data = []byte(`{"admin":true}`)
	})
	requireUnopenable(t, st, inner, rec.ID)
}

func TestRewrapSealsPlainRecords(t *testing.T) {
	inner := livestore.New()
	rec := create(t, inner)
	done, err := seal(t, inner, &sealed.Options{ReadPlain: true}, 1).Rewrap(t.Context(), nil)
	require.NoError(t, err)
	require.Equal(t, sealed.Rewrapped{Read: 1, Rewrapped: 1}, done)
	st := seal(t, inner, quiet(), 1)
	got := get(t, st, rec.ID)
	rec.Revision = got.Revision
	require.Equal(t, rec, got)
	require.Equal(t, []string{rec.ID}, byUser(t, st, "secret-user"))

	plain := create(t, inner)
	done, err = st.Rewrap(t.Context(), nil)
	require.NoError(t, err)
	require.Equal(t, sealed.Rewrapped{Read: 2, Unopenable: 1}, done, "without ReadPlain they are left alone")
	require.Equal(t, plain, get(t, inner, plain.ID))
}
