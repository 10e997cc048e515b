package sealed_test

import (
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/filestore"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
	"github.com/sessionbridge/sessionbridge/store/sealed"
	"github.com/sessionbridge/sessionbridge/store/storetest"
)

func TestContractAroundLivestore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store { return seal(t, livestore.New(), nil, 1) })
}

// TestContractWithOlderKeys: the contract holds while records may be under several names.
func TestContractWithOlderKeys(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store {
		return seal(t, livestore.New(), &sealed.Options{ReadPlain: true}, 3, 1, 2)
	})
}

// TestContractWhileRecordsMove: the contract holds while writes move records from an older key to
// the first one.
func TestContractWhileRecordsMove(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store {
		inner := livestore.New()
		return moving{Store: seal(t, inner, nil, 2, 1), before: seal(t, inner, nil, 1, 2)}
	})
}

func TestContractAroundFilestore(t *testing.T) {
	t.Parallel() // on files of its own, which it waits for
	storetest.Run(t, func(t *testing.T) store.Store {
		inner, err := filestore.Open(filepath.Join(memoryDir(t), "sessions"), nil)
		require.NoError(t, err)
		return seal(t, inner, nil, 1)
	})
}

var folders atomic.Int64

// memoryDir returns a folder for files whose durability isn't tested, in memory where there is one.
func memoryDir(t *testing.T) string {
	t.Helper()
	if info, err := os.Stat("/dev/shm"); err != nil || !info.IsDir() {
		return t.TempDir()
	}
	dir := filepath.Join("/dev/shm", fmt.Sprintf("sealed-test-%d-%d", os.Getpid(), folders.Add(1)))
	require.NoError(t, os.Mkdir(dir, 0o700))
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	return dir
}

func TestContractAroundThreeMethods(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store { return seal(t, newBare(), nil, 1) })
}
