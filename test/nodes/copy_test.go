package nodes_test

import (
	"fmt"
	"io"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/filestore"
	"github.com/sessionbridge/sessionbridge/internal/pgtest"
	"github.com/sessionbridge/sessionbridge/internal/redistest"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/pgstore"
	"github.com/sessionbridge/sessionbridge/redisstore"
	"github.com/sessionbridge/sessionbridge/store"
)

// TestCopyBetweenAllStores: sessions move from each store to each other one with all that they are.
func TestCopyBetweenAllStores(t *testing.T) {
	t.Parallel() // on servers of its own, which it waits for
	file, err := filestore.Open(filepath.Join(t.TempDir(), "sessions.db"), nil)
	require.NoError(t, err)
	redis, err := redisstore.Open(t.Context(), redistest.Start(t).URL(), nil)
	require.NoError(t, err)
	postgres, err := pgstore.Open(t.Context(), pgtest.Start(t).URL(), nil)
	require.NoError(t, err)
	stores := map[string]interface {
		store.Namespacer
		io.Closer
	}{"memory": livestore.New(), "file": file, "Redis": redis, "PostgreSQL": postgres}
	for _, st := range stores {
		t.Cleanup(func() { require.NoError(t, st.Close()) })
	}
	const sessions = 40
	want := map[string]store.Record{}
	for i := range sessions {
		now := time.Now().UTC().Truncate(time.Millisecond).Add(-time.Duration(i) * time.Minute)
		rec := store.Record{
			ID: uuid.NewString(), TokenHash: store.TokenHash{byte(i), 1}, PrevTokenHash: store.TokenHash{2}, TokenGeneration: 3,
			RotatedAt: now, ClientID: uuid.NewString(), UserID: fmt.Sprint("user", i%3), Addr: "192.0.2.1",
			UserAgent: "caf\xe9", Data: fmt.Appendf(nil, `{"n":%d,"ü":"\u0000"}`, i), Created: now.Add(-time.Hour), Seen: now,
			Expires: now.Add(24 * time.Hour), Idle: 24 * time.Hour, Lifetime: 240 * time.Hour, Writes: uint64(i), //nolint:gosec // few
			WriteID: store.WriteID(uuid.New()),
		}
		if i%4 == 0 {
			rec.UserID, rec.Lifetime, rec.Expires = "", 0, time.Time{}
		}
		want[rec.ID] = rec
	}
	for from, source := range stores {
		for _, rec := range want {
			_, err := source.App("source").Set(t.Context(), rec)
			require.NoError(t, err, from)
		}
		for to, target := range stores {
			app := target.App("from " + from)
			n, err := store.Copy(t.Context(), source.App("source").(store.Lister), app, store.CopyOptions{})
			require.NoError(t, err, "%s to %s", from, to)
			require.Equal(t, sessions, n)
			for rec, err := range app.(store.Lister).List(t.Context()) {
				require.NoError(t, err)
				rec.Revision, rec.WriteID = 0, want[rec.ID].WriteID
				require.Equal(t, want[rec.ID], rec, "%s to %s", from, to)
			}
		}
	}
}
