package filestore_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/filestore"
	"github.com/sessionbridge/sessionbridge/store"
)

// What the FilesystemStore of gorilla/sessions does wrong: readers in other processes see files that are half written; nothing is ever
// synced (that is what the crash tests are for: their disk loses what wasn't); its registry is used by many at once without a lock. Who may
// read the files is in s21_files_test.go.

// TestGorillaFault_ReadersNeverSeeATornRecord: there, a session is overwritten where it stands, while others read it. Here, whoever reads,
// one session or many, sees one version or another, also while the log turns and the database is written.
func TestGorillaFault_ReadersNeverSeeATornRecord(t *testing.T) {
	t.Parallel()
	const sessions, times, size = 3, 20, 100_000
	path := filepath.Join(filestore.MemoryDir(t), "sessions.db")
	opts := &filestore.Options{LogSize: 1 << 20, CheckpointEvery: 100 * time.Millisecond} // the smallest there are
	st := open(t, path, opts)
	var versions [times]store.Record
	for n := range versions {
		letter := string(rune('a' + n))
		versions[n].Addr, versions[n].UserAgent = letter, strings.Repeat(letter, 50) // they are stored before the data
		versions[n].Data = []byte(`{"text":"` + strings.Repeat(letter, size+10*n) + `"}`)
	}
	version := func(i, n int) store.Record {
		rec := record(i)
		rec.UserID, rec.ClientID = "ada", "browser"
		rec.Addr, rec.UserAgent, rec.Data = versions[n].Addr, versions[n].UserAgent, versions[n].Data
		return rec
	}
	var revisions [sessions]uint64
	for i := range sessions {
		revisions[i] = mustSet(t, st, version(i, 0))
	}

	var writing atomic.Int64
	writing.Store(sessions)
	var reads atomic.Int64
	look := func(rec store.Record) {
		want := &versions[rec.Addr[0]-'a']
		if rec.Addr != want.Addr || rec.UserAgent != want.UserAgent || !bytes.Equal(rec.Data, want.Data) {
			t.Errorf("%s is of several versions: Addr %q, UserAgent %q, %d bytes of data", rec.ID, rec.Addr, rec.UserAgent, len(rec.Data))
		}
		reads.Add(1)
	}
	lists := []func(yield func(store.Record, error) bool){
		st.List(t.Context()), st.ByUser(t.Context(), "ada"), st.ByClient(t.Context(), "browser"), st.ActiveSince(t.Context(), time.Time{}),
	}
	inParallel(2*sessions+len(lists), func(user int) {
		switch i := user % sessions; {
		case user < sessions: // a writer
			defer writing.Add(-1)
			for n := range times {
				rec := version(i, n)
				rec.Revision = revisions[i]
				revisions[i] = mustSet(t, st, rec)
			}
		case user < 2*sessions: // a reader of what it writes
			for writing.Load() > 0 {
				rec, err := st.Get(t.Context(), sessionID(i))
				if err != nil {
					t.Errorf("get: %v", err)
					return
				}
				look(rec)
			}
		default:
			for writing.Load() > 0 {
				seen := 0
				for rec, err := range lists[user-2*sessions] {
					if err != nil {
						t.Errorf("list: %v", err)
						return
					}
					look(rec)
					seen++
				}
				if seen != sessions {
					t.Errorf("a list has %d of %d sessions", seen, sessions)
				}
			}
		}
	})
	require.Greater(t, reads.Load(), int64(sessions))
	for i := range sessions {
		rec, err := st.Get(t.Context(), sessionID(i))
		require.NoError(t, err)
		require.Equal(t, revisions[i], rec.Revision)
		require.EqualValues(t, times+1, rec.Revision)
		require.Equal(t, versions[times-1].Data, rec.Data)
	}
}

// TestGorillaFault_SecondProcessIsRefusedInsteadOfReadingTornFiles: there, any number of processes read and write the same files. Here, the
// second is told who has them, and changes nothing; when the first is done, the next may. (The lock is the open file's, so that a
// second Open in one process is like one in another. The example's tests start two processes.)
func TestGorillaFault_SecondProcessIsRefusedInsteadOfReadingTornFiles(t *testing.T) {
	t.Parallel()
	path := filepath.Join(filestore.MemoryDir(t), "sessions.db")
	first := open(t, path, &filestore.Options{CheckpointEvery: time.Hour})
	rec := record(1)
	rec.Revision = mustSet(t, first, rec)
	before := filesOf(t, path)
	for name, opts := range map[string]*filestore.Options{"default": nil, "wiping": {Wipe: true}} {
		_, err := filestore.Open(path, opts)
		require.ErrorIs(t, err, filestore.ErrLocked, name)
		var locked *filestore.LockedError
		require.ErrorAs(t, err, &locked, name)
		require.Equal(t, filestore.LockedError{Path: path, PID: os.Getpid()}, *locked, name)
		require.EqualError(t, err, fmt.Sprintf("filestore: %s is in use by process %d: one process at a time can have it open", path, os.Getpid()))
	}
	require.Equal(t, before, filesOf(t, path))
	rec.Revision = mustSet(t, first, rec)

	require.NoError(t, first.Close())
	got, err := open(t, path, nil).Get(t.Context(), rec.ID)
	require.NoError(t, err)
	require.Equal(t, rec.Revision, got.Revision)
}

// TestGorillaFault_OnlyOneOfManyAtOnceOpensIt: of several that open a store at the same moment, which isn't there yet, one does, and the
// others are refused.
func TestGorillaFault_OnlyOneOfManyAtOnceOpensIt(t *testing.T) {
	t.Parallel()
	path := filepath.Join(filestore.MemoryDir(t), "new", "sessions.db")
	const users = 8
	var stores [users]*filestore.Store
	var failures [users]error
	inParallel(users, func(i int) { stores[i], failures[i] = filestore.Open(path, nil) })
	opened := 0
	for i := range users {
		if failures[i] == nil {
			opened++
			require.NoError(t, stores[i].Close())
			continue
		}
		require.ErrorIs(t, failures[i], filestore.ErrLocked)
	}
	require.Equal(t, 1, opened)
}

// TestGorillaFault_RegistryIsSafeForManyAtOnce: there, sessions are registered by name in a map that two goroutines of a request may write
// to at once. Here, the stores of apps may be asked for by anybody, and all that ask for one get the same sessions.
func TestGorillaFault_RegistryIsSafeForManyAtOnce(t *testing.T) {
	t.Parallel()
	const users, apps = 32, 4
	path := filepath.Join(filestore.MemoryDir(t), "sessions.db")
	st := open(t, path, nil)
	inParallel(users, func(i int) {
		app := st.App(fmt.Sprint("app ", i%apps))
		mustSet(t, app, record(i))
		if _, err := app.Get(t.Context(), sessionID(i)); err != nil {
			t.Errorf("get: %v", err)
		}
	})
	require.NoError(t, st.Close())
	st = open(t, path, nil)
	for i := range users {
		for a := range apps {
			_, err := st.App(fmt.Sprint("app ", a)).Get(t.Context(), sessionID(i))
			if a == i%apps {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, store.ErrNotFound)
			}
		}
	}
}
