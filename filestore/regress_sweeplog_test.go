package filestore

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/store"
)

// A sweep of sessions with long IDs makes the log larger than LogSize.
func TestRegressSweepOutgrowsLog(t *testing.T) {
	path := filepath.Join(fastDir(t), "s.db")
	st, err := Open(path, &Options{LogSize: 1 << 20})
	require.NoError(t, err)
	app := st.App(strings.Repeat("p", 8192))
	for i := range 64 {
		_, err := app.Set(t.Context(), store.Record{ID: fmt.Sprintf("%08192d", i), Expires: time.Unix(1, 0)})
		require.NoError(t, err)
	}
	swept, err := app.(*Store).Sweep(t.Context(), time.Now(), 100)
	require.NoError(t, err)
	require.Len(t, swept, 64)
	total := int64(0)
	for _, name := range logNames(path) {
		info, err := os.Stat(name)
		require.NoError(t, err)
		total += info.Size()
	}
	require.NoError(t, st.Close())
	require.LessOrEqual(t, total, int64(1<<20))
}
