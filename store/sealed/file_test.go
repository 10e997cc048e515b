package sealed_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/filestore"
	"github.com/sessionbridge/sessionbridge/store"
)

// TestS17_NothingPersonalLiesInTheFiles: neither in the log nor in the database of a file store.
func TestS17_NothingPersonalLiesInTheFiles(t *testing.T) {
	files := func(sealed bool) (all []byte) {
		dir := t.TempDir()
		inner, err := filestore.Open(filepath.Join(dir, "sessions"), nil)
		require.NoError(t, err)
		var st store.Store = inner
		if sealed {
			st = seal(t, inner, nil, 2, 1)
		}
		rec := create(t, st)
		set(t, st, rec)
		create(t, capability[store.Namespacer](t, st).App("shop"))
		read := func() {
			entries, err := os.ReadDir(dir)
			require.NoError(t, err)
			for _, entry := range entries {
				text, err := os.ReadFile(filepath.Join(dir, entry.Name()))
				require.NoError(t, err)
				all = append(all, text...)
			}
		}
		read() // the log
		require.NoError(t, inner.Optimize(t.Context()))
		require.NoError(t, inner.Close())
		read()
		return all
	}
	plain, all := string(files(false)), string(files(true))
	for _, secret := range secrets[:6] {
		require.Contains(t, plain, secret, "the test looks at the right place")
		require.NotContains(t, all, secret)
	}
	require.NotContains(t, all, "secret")
}
