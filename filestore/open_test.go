package filestore_test

import (
	"bytes"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/filestore"
	"github.com/sessionbridge/sessionbridge/store"
)

func create(t *testing.T, st store.Store, recs ...store.Record) []store.Record {
	t.Helper()
	for i := range recs {
		revision, err := st.Set(t.Context(), recs[i])
		require.NoError(t, err)
		recs[i].Revision = revision
	}
	return recs
}

// requireSame fails unless the store has exactly these records.
func requireSame(t *testing.T, st store.Store, recs ...store.Record) {
	t.Helper()
	n := 0
	for _, err := range st.(store.Lister).List(t.Context()) {
		require.NoError(t, err)
		n++
	}
	require.Equal(t, len(recs), n, "sessions")
	for _, want := range recs {
		got, err := st.Get(t.Context(), want.ID)
		require.NoError(t, err)
		require.Equal(t, want.Revision, got.Revision)
		require.Equal(t, string(want.Data), string(got.Data))
		require.Equal(t, want.UserID, got.UserID)
		require.True(t, want.Expires.Equal(got.Expires), "%v, not %v", got.Expires, want.Expires)
	}
}

func TestSessionsSurviveAReopen(t *testing.T) {
	path := inTempDir(t)
	st := open(t, path, nil)
	root := create(t, st, sample(1), sample(2), sample(3))
	shop := create(t, st.App("shop"), sample(1), sample(4))
	require.NoError(t, st.Close())

	st = open(t, path, nil)
	requireSame(t, st, root...)
	requireSame(t, st.App("shop"), shop...)
	requireSame(t, st.App("other"))
	existed, err := st.App("shop").Destroy(t.Context(), shop[0].ID)
	require.NoError(t, err)
	require.True(t, existed)
	require.NoError(t, st.Close())

	st = open(t, path, nil)
	requireSame(t, st, root...)
	requireSame(t, st.App("shop"), shop[1])
}

func TestWipeStartsWithoutSessions(t *testing.T) {
	path := inTempDir(t)
	st := open(t, path, nil)
	create(t, st, sample(1))
	copied := leftBehind(t, path)
	require.NoError(t, st.Close())
	for _, path := range []string{path, copied} {
		st = open(t, path, &filestore.Options{Wipe: true})
		requireSame(t, st)
		recs := create(t, st, sample(2))
		require.NoError(t, st.Close())
		requireSame(t, open(t, path, nil), recs...)
	}
}

func TestSecondOpenIsRefused(t *testing.T) {
	path := inTempDir(t)
	st := open(t, path, nil)
	for _, wipe := range []bool{false, true} {
		_, err := filestore.Open(path, &filestore.Options{Wipe: wipe})
		require.ErrorIs(t, err, filestore.ErrLocked)
		var locked *filestore.LockedError
		require.ErrorAs(t, err, &locked)
		require.Equal(t, path, locked.Path)
		require.Equal(t, os.Getpid(), locked.PID)
	}
	recs := create(t, st, sample(1))
	require.NoError(t, st.Close())
	requireSame(t, open(t, path, nil), recs...)
}

func TestOptionsThatMakeNoSense(t *testing.T) {
	for name, c := range map[string]struct {
		opts filestore.Options
		says string
	}{
		"negative SyncEvery":     {filestore.Options{SyncEvery: -1}, "Options.SyncEvery is -1ns"},
		"small log":              {filestore.Options{LogSize: 1000}, "Options.LogSize is 1000; it must be from 1048576 to 8589934592 bytes"},
		"huge log":               {filestore.Options{LogSize: 1 << 40}, "Options.LogSize is 1099511627776"},
		"hasty CheckpointEvery":  {filestore.Options{CheckpointEvery: 1}, "Options.CheckpointEvery is 1ns; it must be at least 100ms"},
		"negative checkpointing": {filestore.Options{CheckpointEvery: -time.Second}, "Options.CheckpointEvery is -1s"},
	} {
		t.Run(name, func(t *testing.T) {
			path := inTempDir(t)
			_, err := filestore.Open(path, &c.opts)
			require.ErrorContains(t, err, c.says)
			require.NoFileExists(t, path)
		})
	}
	_, err := filestore.Open("", nil)
	require.ErrorContains(t, err, "the path of a file")
}

func TestFolderIsMade(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a", "b", "sessions.db")
	recs := create(t, open(t, path, nil), sample(1))
	require.NotEmpty(t, recs)
	for _, made := range []string{"a", "a/b"} {
		info, err := os.Stat(filepath.Join(dir, made))
		require.NoError(t, err)
		require.Equal(t, fs.FileMode(0o700), info.Mode().Perm())
	}
}

func TestDatabaseThatIsMissing(t *testing.T) {
	path := inTempDir(t)
	create(t, open(t, path, nil), sample(1))
	copied := leftBehind(t, path)
	require.NoError(t, os.Remove(copied))
	_, err := filestore.Open(copied, nil)
	require.ErrorContains(t, err, "sessions.db is missing, but its log "+copied+".wal.0 exists")
	requireSame(t, open(t, copied, &filestore.Options{Wipe: true}))
}

func TestLogThatIsMissing(t *testing.T) {
	path := inTempDir(t)
	create(t, open(t, path, nil), sample(1))
	copied := leftBehind(t, path)
	require.NoError(t, os.Remove(copied+".wal.0"))
	require.NoError(t, os.Remove(copied+".wal.1"))
	_, err := filestore.Open(copied, nil)
	require.ErrorIs(t, err, filestore.ErrDamaged)
	require.ErrorContains(t, err, ".wal.0")
}

// TestLogOfAStoreThatWasClosed isn't needed: whatever is in it.
func TestLogOfAStoreThatWasClosed(t *testing.T) {
	path := inTempDir(t)
	st := open(t, path, nil)
	recs := create(t, st, sample(1), sample(2))
	require.NoError(t, st.Close())
	require.NoError(t, os.Remove(path+".wal.1"))
	require.NoError(t, os.WriteFile(path+".wal.0", bytes.Repeat([]byte("garbage "), 10000), 0o600))
	st = open(t, path, nil)
	requireSame(t, st, recs...)
	recs = append(recs, create(t, st, sample(3))...)
	requireSame(t, open(t, leftBehind(t, path), nil), recs...)
}

// TestRecoveryIsLoggedOnce: the unfinished group that a crash leaves is cut, and the log says so; the next time there is none.
func TestRecoveryIsLoggedOnce(t *testing.T) {
	path := inTempDir(t)
	recs := create(t, open(t, path, nil), sample(1), sample(2))
	copied := leftBehind(t, path)
	content, err := os.ReadFile(copied + ".wal.0")
	require.NoError(t, err)
	used := bytes.LastIndex(content, recs[1].Data)
	require.Positive(t, used)
	content[used] = 'y' // in the last group
	require.NoError(t, os.WriteFile(copied+".wal.0", content, 0o600))

	var said strings.Builder
	opts := &filestore.Options{Logger: slog.New(slog.NewTextHandler(&said, nil))}
	requireSame(t, open(t, copied, opts), recs[0])
	require.Equal(t, 1, strings.Count(said.String(), "are recovered"), said.String())
	require.NotContains(t, said.String(), recs[0].ID)

	said.Reset()
	requireSame(t, open(t, leftBehind(t, copied), opts), recs[0])
	require.NotContains(t, said.String(), "unfinished_bytes=5", said.String())
}
