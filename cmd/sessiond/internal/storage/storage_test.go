package storage_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/cmd/sessiond/internal/storage"
	"github.com/sessionbridge/sessionbridge/internal/pgtest"
	"github.com/sessionbridge/sessionbridge/internal/redistest"
	"github.com/sessionbridge/sessionbridge/store"
)

func TestOpen(t *testing.T) {
	quiet := slog.New(slog.DiscardHandler)
	names := []string{storage.Live, "file:" + filepath.Join(t.TempDir(), "sessions.db")}
	for _, name := range append(names, "redis://"+redistest.Start(t).Addr(), pgtest.Start(t).URL()) {
		st, err := storage.Open(t.Context(), name, quiet)
		require.NoError(t, err, name)
		_, err = st.Get(t.Context(), "00000000-0000-4000-8000-000000000000")
		require.ErrorIs(t, err, store.ErrNotFound, name)
		require.NoError(t, st.Close())
	}
}

func TestNameThatIsNoStore(t *testing.T) {
	for _, name := range []string{"", "redis", "file", "file:", "mysql://user:secret@host/db"} {
		_, err := storage.Open(t.Context(), name, nil)
		require.ErrorIs(t, err, storage.ErrName, name)
		require.NotContains(t, err.Error(), "secret")
		_, err = storage.KeyFiles{}.Keys(name)
		require.ErrorIs(t, err, storage.ErrName, name)
	}
}

func TestKeysOfCookies(t *testing.T) {
	dir := t.TempDir()
	own := filepath.Join(dir, "own")
	keys, err := storage.KeyFiles{Own: own}.Keys("redis://h")
	require.NoError(t, err)
	again, err := storage.KeyFiles{Own: own}.Keys(storage.Live)
	require.NoError(t, err)
	require.Equal(t, keys, again)

	beside, err := storage.KeyFiles{}.Keys("file:" + filepath.Join(dir, "s.db"))
	require.NoError(t, err)
	require.NotEqual(t, keys, beside)
	require.FileExists(t, filepath.Join(dir, "s.db.keys"))

	random, err := storage.KeyFiles{}.Keys(storage.Live)
	require.NoError(t, err)
	other, err := storage.KeyFiles{}.Keys(storage.Live)
	require.NoError(t, err)
	require.NotEqual(t, random, other)

	mounted := filepath.Join(dir, "mounted")
	_, err = storage.KeyFiles{Mounted: mounted}.Keys(storage.Live)
	require.ErrorIs(t, err, os.ErrNotExist, "it is never created")
	for _, shared := range []string{"redis://h", "postgres://h/d"} {
		_, err = storage.KeyFiles{}.Keys(shared)
		require.ErrorContains(t, err, "a shared store needs a file")
	}
	_, err = storage.KeyFiles{Own: own, Mounted: own}.Keys(storage.Live)
	require.ErrorContains(t, err, "set one")
}

// Waiting for a file that another process uses ends with the context.
func TestWaitForAFileEndsWithTheContext(t *testing.T) {
	name := "file:" + filepath.Join(t.TempDir(), "sessions.db")
	st, err := storage.Open(t.Context(), name, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	defer st.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = storage.Open(ctx, name, slog.New(slog.DiscardHandler))
	require.ErrorIs(t, err, context.Canceled)
}
