package filestore_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/filestore"
	"github.com/sessionbridge/sessionbridge/store"
)

func TestWhatIsTooLargeIsNamed(t *testing.T) {
	st := open(t, inMemory(t), &filestore.Options{LogSize: 1 << 20})
	for says, change := range map[string]func(*store.Record){
		"the ID has 8193 bytes; the limit is 8192":       func(rec *store.Record) { rec.ID = strings.Repeat("i", 8193) },
		"the UserID has 8193 bytes; the limit is 8192":   func(rec *store.Record) { rec.UserID = strings.Repeat("u", 8193) },
		"the ClientID has 8193 bytes; the limit is 8192": func(rec *store.Record) { rec.ClientID = strings.Repeat("c", 8193) },
		"the Data have 200000 bytes; the limit is 130":   func(rec *store.Record) { rec.Data = make([]byte, 200_000) },
	} {
		rec := sample(1)
		change(&rec)
		_, err := st.Set(t.Context(), rec)
		require.ErrorIs(t, err, filestore.ErrTooLarge)
		require.ErrorContains(t, err, says)
	}
	requireSame(t, st)
}

// TestWhatIsAsLargeAsAllowed comes back, from the log and from the database.
func TestWhatIsAsLargeAsAllowed(t *testing.T) {
	path := inMemory(t)
	st := open(t, path, &filestore.Options{LogSize: 1 << 20})
	var recs []store.Record
	for i := range 20 {
		rec := sample(i)
		rec.ID = strings.Repeat("i", 8000) + rec.ID
		rec.UserID, rec.ClientID = strings.Repeat("u", 8192), strings.Repeat("c", 8192)
		rec.Data = []byte(`{"a":"` + strings.Repeat("x", 100_000) + `"}`)
		recs = append(recs, rec)
	}
	create(t, st, recs...)
	requireSame(t, st, recs...)
	requireSame(t, open(t, leftBehind(t, path), nil), recs...)
	require.NoError(t, st.Close())

	st = open(t, path, nil)
	requireSame(t, st, recs...)
	n := 0
	for rec, err := range st.ByUser(t.Context(), recs[0].UserID) {
		require.NoError(t, err)
		require.Equal(t, recs[0].ClientID, rec.ClientID)
		n++
	}
	require.Equal(t, len(recs), n)
	swept, err := st.Sweep(t.Context(), recs[19].Expires, 100)
	require.NoError(t, err)
	require.Len(t, swept, 20)
}

// TestOwnersThatLookAlike: one user's name may be the beginning of another's, and of a key of the index.
func TestOwnersThatLookAlike(t *testing.T) {
	path := inMemory(t)
	names := []string{"a", "a\x00", "a\x00b", "ab", "\x00", "a\x00\x01" + strings.Repeat("k", 16), strings.Repeat("k", 16), sample(0).ID, strings.ToUpper(sample(0).ID)}
	st := open(t, path, nil)
	for i, name := range names {
		rec := sample(i)
		rec.UserID, rec.ClientID = name, name
		create(t, st, rec)
	}
	check := func(st *filestore.Store) {
		for i, name := range names {
			for rec, err := range st.ByUser(t.Context(), name) {
				require.NoError(t, err)
				require.Equal(t, sample(i).ID, rec.ID)
			}
			n := 0
			for rec, err := range st.ByClient(t.Context(), name) {
				require.NoError(t, err)
				require.Equal(t, sample(i).ID, rec.ID)
				n++
			}
			require.Equal(t, 1, n, "%q", name)
		}
	}
	check(st)
	require.NoError(t, st.Close())
	check(open(t, path, nil))
}
