package filestore_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/filestore"
	"github.com/sessionbridge/sessionbridge/store"
)

func TestCheckOfAStoreThatWasClosed(t *testing.T) {
	t.Parallel()
	path := filepath.Join(filestore.MemoryDir(t), "sessions.db")
	makeStore(t, path, 300)
	report, err := filestore.Check(path)
	require.NoError(t, err)
	require.True(t, report.OK(), report)
	require.True(t, report.Clean)
	require.EqualValues(t, 300+30, report.Sessions)
	require.EqualValues(t, 2, report.Apps)
	require.Zero(t, report.LogChanges)
	require.Zero(t, report.TornTail)
	for _, line := range []string{path, "sessions: 330", "apps: 2", "closed: true", "problems: 0"} {
		require.Contains(t, report.String(), line+"\n")
	}
}

// What a crash leaves is no damage, and stays as it is.
func TestCheckOfAStoreThatHasCrashed(t *testing.T) {
	t.Parallel()
	path := crashed(t, 200, 50)
	before := filesOf(t, path)
	report, err := filestore.Check(path)
	require.NoError(t, err)
	require.True(t, report.OK(), report)
	require.False(t, report.Clean)
	require.EqualValues(t, 200, report.Sessions)
	require.EqualValues(t, 50+1, report.LogChanges)
	require.Zero(t, report.TornTail)
	require.Contains(t, report.String(), "closed: false\n")
	require.Contains(t, report.String(), "changes that only the log has: 51\n")
	require.Equal(t, before, filesOf(t, path))
}

func TestCheckOfATornTail(t *testing.T) {
	t.Parallel()
	path := crashed(t, 20, 10)
	groups := logGroups(t, path)
	last := groups[len(groups)-1]
	flip(t, last.file, last.offset+last.size-10)
	report, err := filestore.Check(path)
	require.NoError(t, err)
	require.True(t, report.OK(), report)
	require.EqualValues(t, 10, report.LogChanges)
	require.Positive(t, report.TornTail)
	require.Contains(t, report.String(), fmt.Sprintf("bytes of unfinished changes: %d\n", report.TornTail))
}

func TestCheckOfADamagedLog(t *testing.T) {
	t.Parallel()
	path := crashed(t, 20, 10)
	groups := logGroups(t, path)
	middle := groups[len(groups)-4]
	flip(t, middle.file, middle.offset+60)
	report, err := filestore.Check(path)
	require.NoError(t, err)
	require.False(t, report.OK())
	require.Len(t, report.Problems, 1)
	require.ErrorIs(t, report.Problems[0], filestore.ErrDamaged)
	require.Equal(t, middle.file, report.Problems[0].Path)
	require.Equal(t, middle.offset, report.Problems[0].Offset)
	require.Contains(t, report.String(), fmt.Sprintf("%s is damaged at byte %d: ", middle.file, middle.offset))
	require.ErrorContains(t, report.Problems[0], "Restore a backup")

	_, err = filestore.Open(path, nil)
	require.ErrorIs(t, err, filestore.ErrDamaged, "Open and Check agree")
}

func TestCheckOfALostLog(t *testing.T) {
	t.Parallel()
	path := crashed(t, 20, 10)
	require.NoError(t, os.Remove(path+".wal.0"))
	require.NoError(t, os.Remove(path+".wal.1"))
	report, err := filestore.Check(path)
	require.NoError(t, err)
	require.False(t, report.OK())
	require.NoFileExists(t, path+".wal.0")
	require.NoFileExists(t, path+".wal.1")
}

func TestCheckOfADamagedDatabase(t *testing.T) {
	t.Parallel()
	path := filepath.Join(filestore.MemoryDir(t), "sessions.db")
	makeStore(t, path, 300)
	flip(t, path, inDatabase(t, path, "agent of session 117"))
	report, err := filestore.Check(path)
	require.NoError(t, err)
	require.False(t, report.OK())
	require.EqualValues(t, 329, report.Sessions)
	require.Contains(t, report.String(), "is damaged")
	require.Contains(t, report.String(), "wrong checksum of a session")
	require.NotContains(t, report.String(), sessionID(117))
}

func TestCheckOfAFileThatIsNoStore(t *testing.T) {
	t.Parallel()
	dir := filestore.MemoryDir(t)
	_, err := filestore.Check(filepath.Join(dir, "missing.db"))
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.ErrorContains(t, err, "there is no session store")
	require.ErrorContains(t, err, "missing.db")
	require.Empty(t, entriesOf(t, dir), "nothing was made")

	require.NoError(t, os.WriteFile(filepath.Join(dir, "lost.db.wal.0"), []byte("x"), 0o600))
	_, err = filestore.Check(filepath.Join(dir, "lost.db"))
	require.ErrorContains(t, err, "is missing, but its log")

	_, err = filestore.Check(dir)
	require.ErrorContains(t, err, "not a regular file")

	for _, content := range []string{"", "hello", string(make([]byte, 100_000))} {
		path := filepath.Join(dir, "text.db")
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		report, err := filestore.Check(path)
		require.NoError(t, err)
		require.False(t, report.OK())
	}
}

func TestCheckRefusesAStoreInUse(t *testing.T) {
	t.Parallel()
	path := filepath.Join(filestore.MemoryDir(t), "sessions.db")
	open(t, path, nil)
	_, err := filestore.Check(path)
	require.ErrorIs(t, err, filestore.ErrLocked)
	require.ErrorContains(t, err, fmt.Sprint(os.Getpid()))
}

// makeStore makes a store of so many sessions, a tenth as many of an app, and closes it. However long
// that takes there is one checkpoint: a second one would leave copies of sessions in free pages.
func makeStore(t testing.TB, path string, sessions int) {
	t.Helper()
	st, err := filestore.Open(path, &filestore.Options{CheckpointEvery: time.Hour})
	require.NoError(t, err)
	for i := range sessions {
		set(t, st, record(i))
	}
	for i := range sessions / 10 {
		set(t, st.App("shop"), record(i))
	}
	require.NoError(t, st.Close())
}

// crashed returns a store that wasn't closed, with so many sessions in the database; then so many more, and the destruction of the
// first, in the log.
func crashed(t testing.TB, inDatabase, inLog int) (path string) {
	t.Helper()
	live := filepath.Join(filestore.MemoryDir(t), "live.db")
	path = filepath.Join(filestore.MemoryDir(t), "sessions.db")
	st, err := filestore.Open(live, &filestore.Options{CheckpointEvery: time.Hour})
	require.NoError(t, err)
	for i := range inDatabase {
		set(t, st, record(i))
	}
	require.NoError(t, st.Optimize(t.Context()))
	for i := range inLog {
		set(t, st, record(inDatabase+i))
	}
	_, err = st.Destroy(t.Context(), sessionID(0))
	require.NoError(t, err)
	for _, suffix := range []string{"", ".wal.0", ".wal.1"} {
		b, err := os.ReadFile(live + suffix)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(path+suffix, b, 0o600))
	}
	require.NoError(t, st.Close())
	return path
}

func set(t testing.TB, st store.Store, rec store.Record) {
	t.Helper()
	_, err := st.Set(t.Context(), rec)
	require.NoError(t, err)
}

func sessionID(i int) string {
	return fmt.Sprintf("%08x-aaaa-4aaa-8aaa-aaaaaaaaaaaa", uint32(i)*2654435761)
}

// record returns the i-th of many different records.
func record(i int) store.Record {
	created := time.Unix(1_900_000_000+int64(i)*7, 0).UTC()
	rec := store.Record{
		ID: sessionID(i), ClientID: sessionID(i + 1_000_000), UserID: fmt.Sprintf("user %d", i/4),
		UserAgent: fmt.Sprintf("agent of session %d", i), Addr: "192.0.2.1",
		Created: created, Seen: created, Expires: created.Add(time.Hour), Idle: time.Hour, Lifetime: 24 * time.Hour,
		TokenGeneration: 1, Data: fmt.Appendf(nil, `{"n":%d}`, i),
	}
	rec.TokenHash[5], rec.WriteID[3] = byte(i), byte(i)
	return rec
}

// filesOf returns the files of a store, but for its lock.
func filesOf(t testing.TB, path string) map[string]string {
	t.Helper()
	files := make(map[string]string)
	for _, name := range entriesOf(t, filepath.Dir(path)) {
		if name != filepath.Base(path)+".lock" {
			b, err := os.ReadFile(filepath.Join(filepath.Dir(path), name))
			require.NoError(t, err)
			files[name] = string(b)
		}
	}
	return files
}

func entriesOf(t testing.TB, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func flip(t testing.TB, name string, at int64) {
	t.Helper()
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	require.NoError(t, err)
	defer f.Close()
	var b [1]byte
	_, err = f.ReadAt(b[:], at)
	require.NoError(t, err)
	b[0] ^= 0x10
	_, err = f.WriteAt(b[:], at)
	require.NoError(t, err)
}

// inDatabase returns where the text is in the file; it must be there once.
func inDatabase(t testing.TB, path, text string) int64 {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, 1, bytes.Count(b, []byte(text)), text)
	return int64(bytes.Index(b, []byte(text)))
}

type logGroup struct {
	file         string
	offset, size int64
	position     uint64
}

// logGroups returns the groups of the log that the store goes on with, in order.
func logGroups(t testing.TB, path string) (groups []logGroup) {
	t.Helper()
	var longest []logGroup
	for _, name := range []string{path + ".wal.0", path + ".wal.1"} {
		b, err := os.ReadFile(name)
		require.NoError(t, err)
		var found []logGroup
		for at := 0; at+48 <= len(b) && string(b[at:at+4]) == "sbg1"; {
			size := (48 + int(binary.LittleEndian.Uint32(b[at+4:])) + 7) / 8 * 8
			g := logGroup{name, int64(at), int64(size), binary.LittleEndian.Uint64(b[at+16:])}
			if len(found) > 0 && g.position < found[len(found)-1].position {
				break
			}
			found = append(found, g)
			at += size
		}
		if len(found) > 0 && (len(longest) == 0 || found[0].position > longest[0].position) {
			longest = found
		}
	}
	require.NotEmpty(t, longest)
	return longest
}
