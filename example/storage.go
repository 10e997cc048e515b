package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/filestore"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/redisstore"
	"github.com/sessionbridge/sessionbridge/store"
)

// storage is where sessions are kept, and what their cookies are signed with: a session that survives a restart is found again only by a
// cookie that does, too.
type storage struct {
	sessions interface {
		store.Store
		io.Closer
	}
	keys  [][]byte
	where string // for the person who has started the program
}

// openStorage opens the store with the name. No file for the keys: the store's own.
func openStorage(ctx context.Context, name, keyFile string, logger *slog.Logger) (*storage, error) {
	path, inFile := strings.CutPrefix(name, "file:")
	switch {
	case name == "live":
		return inMemory(keyFile)
	case strings.HasPrefix(name, "redis://"), strings.HasPrefix(name, "rediss://"), strings.HasPrefix(name, "unix://"):
		return inRedis(ctx, name, keyFile)
	case !inFile || path == "":
		return nil, fmt.Errorf("-store %q: it can be \"file:PATH\", which keeps sessions in that file, \"live\", which keeps them in memory, or \"redis://HOST:6379\", "+
			"where several processes share them", name)
	}
	sessions, err := filestore.Open(path, &filestore.Options{Logger: logger})
	if err != nil {
		return nil, fmt.Errorf("can't keep sessions in %s, choose another file with -store file:PATH: %w", path, err)
	}
	if keyFile == "" {
		keyFile = path + ".keys"
	}
	keys, err := bridge.LoadOrCreateKeys(keyFile)
	if err != nil {
		return nil, errors.Join(err, sessions.Close())
	}
	return &storage{sessions, keys, fmt.Sprintf("Sessions are kept in %s, and the keys of their cookies in %s: both survive a restart.", path, keyFile)}, nil
}

// inRedis is for several processes. Those that are one application to a browser have the same keys: on several machines, copy the file.
func inRedis(ctx context.Context, url, keyFile string) (*storage, error) {
	if keyFile == "" {
		keyFile = "example.keys"
	}
	keys, err := bridge.LoadOrCreateKeys(keyFile)
	if err != nil {
		return nil, err
	}
	sessions, err := redisstore.Open(ctx, url, nil)
	if err != nil {
		return nil, fmt.Errorf("can't keep sessions in Redis: %w", err)
	}
	return &storage{sessions, keys, fmt.Sprintf("Sessions are kept in Redis, and the keys of their cookies in %s: start another with the same two and another -addr.", keyFile)}, nil
}

// inMemory is for storage that ends with the process.
func inMemory(keyFile string) (*storage, error) {
	if keyFile == "" {
		key := make([]byte, 64)
		_, _ = rand.Read(key) // never fails
		return &storage{livestore.New(), [][]byte{key}, "Sessions are kept in memory, and their cookies are signed with a random key: a restart ends them."}, nil
	}
	keys, err := bridge.LoadOrCreateKeys(keyFile)
	if err != nil {
		return nil, err
	}
	return &storage{livestore.New(), keys, "Sessions are kept in memory: a restart ends them. Browsers are known again by the keys in " + keyFile + "."}, nil
}
