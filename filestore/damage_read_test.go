package filestore

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestDamageUnderAnOpenStoreIsNotReadAsASession: bytes of a session change in the file while the store is open; whoever reads it gets an error, the others their sessions.
func TestDamageUnderAnOpenStoreIsNotReadAsASession(t *testing.T) {
	path := filepath.Join(fastDir(t), "s.db")
	st, err := Open(path, nil)
	require.NoError(t, err)
	t.Cleanup(func() { _ = st.Close() }) // its last checkpoint may come across the damage
	fillStore(t, st)
	hurt, well := sessionKey{modelApps[0], "own-0"}, sessionKey{modelApps[0], "own-2"}
	require.NoError(t, st.engine.flush(t.Context(), true))
	want, err := appOf(st, well.app).Get(t.Context(), well.id)
	require.NoError(t, err)
	rec, err := appOf(st, hurt.app).Get(t.Context(), hurt.id)
	require.NoError(t, err)

	file, err := os.ReadFile(path)
	require.NoError(t, err)
	at := bytes.Index(file, rec.Data)
	require.Positive(t, at, "its data stand in the file")
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	require.NoError(t, err)
	for from := at; from >= 0; { // pages that are free hold it too
		_, err = f.WriteAt([]byte{rec.Data[len(rec.Data)/2] ^ 1}, int64(from+len(rec.Data)/2))
		require.NoError(t, err)
		next := bytes.Index(file[from+1:], rec.Data)
		if next < 0 {
			break
		}
		from += 1 + next
	}
	require.NoError(t, f.Close())

	_, err = appOf(st, hurt.app).Get(t.Context(), hurt.id)
	var damaged *DamagedError
	require.ErrorAs(t, err, &damaged)
	got, err := appOf(st, well.app).Get(t.Context(), well.id)
	require.NoError(t, err)
	require.Equal(t, want, got)
}
