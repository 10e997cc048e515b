package filestore_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/filestore"
	"github.com/sessionbridge/sessionbridge/store"
)

// TestS21_FilesAreForTheirOwnerOnly: each file of a store is 0600 at any time, and each folder that is made for it 0700. A folder that is
// there is its owner's business.
func TestS21_FilesAreForTheirOwnerOnly(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("modes of files mean nothing here")
	}
	there := t.TempDir()
	require.NoError(t, os.Chmod(there, 0o750)) //nolint:gosec // on purpose
	path := filepath.Join(there, "a", "b", "sessions.db")
	st := open(t, path, &filestore.Options{LogSize: 1 << 20})
	check := func(when string) {
		t.Helper()
		seen := 0
		require.NoError(t, filepath.WalkDir(there, func(name string, d fs.DirEntry, err error) error {
			require.NoError(t, err)
			info, err := d.Info()
			require.NoError(t, err)
			want := fs.FileMode(0o600)
			if d.IsDir() {
				want = fs.ModeDir | 0o700
			}
			if name != there {
				require.Equal(t, want, info.Mode(), "%s, %s", name, when)
				seen++
			}
			return nil
		}))
		require.GreaterOrEqual(t, seen, 2+4)
	}
	check("when it is new")
	inParallel(256, func(i int) {
		rec := record(i)
		rec.Data = []byte(`{"text":"` + strings.Repeat("x", 8000) + `"}`)
		mustSet(t, st, rec)
	})
	check("when its log has turned")
	require.NoError(t, st.Optimize(t.Context()))
	check("when the database has been replaced")
	require.NoError(t, st.Close())
	check("when it is closed")
	st = open(t, path, &filestore.Options{Wipe: true})
	check("when it has been wiped")
	info, err := os.Stat(there)
	require.NoError(t, err)
	require.Equal(t, fs.ModeDir|0o750, info.Mode())
}

// TestS21_SymbolicLinksAreNotFollowed: in the place of none of the files. Whoever can write to the folder could otherwise have the process
// read, lock, overwrite or make files elsewhere.
func TestS21_SymbolicLinksAreNotFollowed(t *testing.T) {
	t.Parallel()
	const content = "somebody else's"
	for _, suffix := range []string{"", ".wal.0", ".wal.1", ".lock"} {
		for _, target := range []string{"a file", "a store", "nothing"} {
			t.Run("sessions.db"+suffix+" to "+target, func(t *testing.T) {
				t.Parallel()
				path, elsewhere := filepath.Join(t.TempDir(), "sessions.db"), filepath.Join(t.TempDir(), "sessions.db")
				makeStore(t, path, 10)
				switch target {
				case "a file":
					require.NoError(t, os.WriteFile(elsewhere+suffix, []byte(content), 0o600))
				case "a store":
					makeStore(t, elsewhere, 10)
				}
				before := filesOf(t, elsewhere)
				require.NoError(t, os.Remove(path+suffix))
				require.NoError(t, os.Symlink(elsewhere+suffix, path+suffix))
				for _, opts := range []*filestore.Options{nil, {CheckpointEvery: time.Hour}} {
					_, err := filestore.Open(path, opts)
					require.ErrorContains(t, err, path+suffix)
					require.NotErrorIs(t, err, filestore.ErrLocked)
				}
				_, err := filestore.Check(path)
				if suffix == "" || suffix == ".lock" { // of a store that was closed it needs no log
					require.ErrorContains(t, err, path+suffix)
				}
				require.Equal(t, before, filesOf(t, elsewhere))
				if target == "nothing" {
					require.NoFileExists(t, elsewhere+suffix)
				}

				require.NoError(t, os.Remove(path+suffix), "the link is still there, and nothing has the store open")
				open(t, path, &filestore.Options{Wipe: suffix == ""})
			})
		}
	}
}

// TestS21_SymbolicLinksAreNotFollowedByWipe: it removes the links, and not what they lead to.
func TestS21_SymbolicLinksAreNotFollowedByWipe(t *testing.T) {
	t.Parallel()
	path, elsewhere := filepath.Join(t.TempDir(), "sessions.db"), filepath.Join(t.TempDir(), "sessions.db")
	makeStore(t, elsewhere, 10)
	before := filesOf(t, elsewhere)
	for _, suffix := range []string{"", ".wal.0", ".wal.1"} {
		require.NoError(t, os.Symlink(elsewhere+suffix, path+suffix))
	}
	st := open(t, path, &filestore.Options{Wipe: true})
	set(t, st, record(1))
	require.NoError(t, st.Close())
	require.Equal(t, before, filesOf(t, elsewhere))
	info, err := os.Lstat(path)
	require.NoError(t, err)
	require.True(t, info.Mode().IsRegular())
}

// TestS21_CreationIsAtomic: a database is made under another name, where nothing that is there already does any harm. (That there is none or a
// whole one, whenever power fails meanwhile, is what the crash tests are for: they begin with a store that isn't there.)
func TestS21_CreationIsAtomic(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(t *testing.T, at, elsewhere string){
		"half a file of a process that has crashed": func(t *testing.T, at, _ string) {
			require.NoError(t, os.WriteFile(at, make([]byte, 5000), 0o600))
		},
		"a symbolic link to a file": func(t *testing.T, at, elsewhere string) {
			require.NoError(t, os.WriteFile(elsewhere, []byte("somebody else's"), 0o600))
			require.NoError(t, os.Symlink(elsewhere, at))
		},
		"a symbolic link to nothing": func(t *testing.T, at, elsewhere string) {
			require.NoError(t, os.Symlink(elsewhere, at))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path, elsewhere := filepath.Join(t.TempDir(), "sessions.db"), filepath.Join(t.TempDir(), "elsewhere")
			prepare(t, path+".new", elsewhere)
			before := filesOf(t, elsewhere)
			st := open(t, path, nil)
			_, err := st.Get(t.Context(), sessionID(1))
			require.ErrorIs(t, err, store.ErrNotFound)
			set(t, st, record(1))
			require.Equal(t, before, filesOf(t, elsewhere))
			require.Equal(t, []string{"sessions.db", "sessions.db.lock", "sessions.db.wal.0", "sessions.db.wal.1"}, entriesOf(t, filepath.Dir(path)))
		})
	}
}
