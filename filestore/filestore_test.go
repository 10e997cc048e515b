package filestore_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/filestore"
	"github.com/sessionbridge/sessionbridge/store"
	"github.com/sessionbridge/sessionbridge/store/storetest"
)

// A Store has every optional capability but those for several processes.
var _ interface {
	store.Store
	store.Lister
	store.Toucher
	store.Sweeper
	store.UserIndex
	store.ClientIndex
	store.ClientOrder
	store.ActivityIndex
	store.ActiveLister
	store.Optimizer
	store.Pinger
	store.Namespacer
} = (*filestore.Store)(nil)

// open opens a store for the test, which is closed at its end.
func open(t *testing.T, path string, opts *filestore.Options) *filestore.Store {
	t.Helper()
	st, err := filestore.Open(path, opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, st.Close()) })
	return st
}

func inTempDir(t *testing.T) (path string) {
	t.Helper()
	return filepath.Join(t.TempDir(), "sessions.db")
}

// inMemory is inTempDir for tests whose subject isn't the file system.
func inMemory(t *testing.T) (path string) {
	t.Helper()
	return filepath.Join(filestore.MemoryDir(t), "sessions.db")
}

// leftBehind copies what the process would leave if it were killed now. Nothing may be changing.
func leftBehind(t testing.TB, path string) string {
	t.Helper()
	to := filepath.Join(filestore.MemoryDir(t), filepath.Base(path))
	for _, suffix := range []string{"", ".wal.0", ".wal.1"} {
		b, err := os.ReadFile(path + suffix)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(to+suffix, b, 0o600))
	}
	return to
}

func TestContract(t *testing.T) {
	t.Parallel() // on files of its own, which it waits for
	storetest.Run(t, func(t *testing.T) store.Store { return open(t, inMemory(t), nil) })
}

// TestContractOfAnAppWithLittleLog: an App's store is one like any other, beside the others in the
// file. The sessions go through the log, the overlays and the database all the time.
func TestContractOfAnAppWithLittleLog(t *testing.T) {
	t.Parallel() // on files of its own, which it waits for
	storetest.Run(t, func(t *testing.T) store.Store {
		st := open(t, inMemory(t), &filestore.Options{LogSize: 1 << 20, CheckpointEvery: 100 * time.Millisecond})
		return appStore{st.App("shop").(*filestore.Store), st}
	})
}

// appStore is an App's store as if it had been opened as such.
type appStore struct {
	*filestore.Store
	root *filestore.Store
}

func (s appStore) Close() error { return s.root.Close() }

func (s appStore) App(name string) store.Store {
	if name == "" {
		return s
	}
	return s.root.App("shop/" + name)
}
