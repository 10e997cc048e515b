package filestore_test

import (
	"path/filepath"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/filestore"
	"github.com/sessionbridge/sessionbridge/store"
)

// TestStoresInAndOutsideOfBubbles: what one store leaves in a pool is used by the next. A channel
// that was made in a bubble of testing/synctest must not be among it: using it elsewhere ends the
// process.
func TestStoresInAndOutsideOfBubbles(t *testing.T) {
	use := func(t *testing.T) {
		st, err := filestore.Open(filepath.Join(t.TempDir(), "sessions.db"), nil)
		require.NoError(t, err)
		for _, id := range []string{"a", "b", "c"} {
			_, err = st.Set(t.Context(), store.Record{ID: id, Data: []byte("{}")})
			require.NoError(t, err)
		}
		require.NoError(t, st.Close())
	}
	for range 5 {
		synctest.Test(t, use)
		use(t)
	}
}
