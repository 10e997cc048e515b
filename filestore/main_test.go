package filestore

import (
	"cmp"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// TestMain runs the tests, or, in a process that a test has started, a child.
func TestMain(m *testing.M) {
	if path := os.Getenv(childPath); path != "" {
		runChild(path)
		return
	}
	flag.Parse()
	if parallel := flag.Lookup("test.parallel"); parallel.Value.String() == parallel.DefValue {
		_ = flag.Set("test.parallel", "4") // not one for each core: those in parallel mostly wait
	}
	goleak.VerifyTestMain(m)
}

var folders atomic.Int64

// fastDir returns a new folder, in memory where the system has such a place: what is durable these tests know by themselves.
func fastDir(t testing.TB) string {
	t.Helper()
	if info, err := os.Stat("/dev/shm"); err != nil || !info.IsDir() {
		return t.TempDir()
	}
	dir := filepath.Join("/dev/shm", fmt.Sprintf("filestore-test-%d-%d", os.Getpid(), folders.Add(1)))
	require.NoError(t, os.Mkdir(dir, dirMode))
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	return dir
}

// MemoryDir is fastDir for the tests of package filestore_test.
var MemoryDir = fastDir

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
