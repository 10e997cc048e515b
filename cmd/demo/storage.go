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
	"github.com/sessionbridge/sessionbridge/pgstore"
	"github.com/sessionbridge/sessionbridge/redisstore"
	"github.com/sessionbridge/sessionbridge/store"
)

// storage is a session store, and the keys that sign its cookies: a session that survives a restart
// is found only with a cookie whose key does, too.
type storage struct {
	sessions closingStore
	keys     [][]byte
	where    string // describes the storage to the person who has started the program
}

type closingStore interface {
	store.Store
	io.Closer
}

// openStorage opens the store with that name. Without a key file it uses the store's default.
func openStorage(ctx context.Context, name, keyFile string, logger *slog.Logger) (*storage, error) {
	path, inFile := strings.CutPrefix(name, "file:")
	switch {
	case name == "live":
		return inMemory(keyFile)
	case strings.HasPrefix(name, "redis://"), strings.HasPrefix(name, "rediss://"), strings.HasPrefix(name, "unix://"):
		return shared("Redis", keyFile, func() (closingStore, error) { return redisstore.Open(ctx, name, nil) })
	case strings.HasPrefix(name, "postgres://"), strings.HasPrefix(name, "postgresql://"):
		return shared("PostgreSQL", keyFile, func() (closingStore, error) { return pgstore.Open(ctx, name, nil) })
	case !inFile || path == "":
		return nil, fmt.Errorf(
			"-store %q: use \"file:PATH\" to keep sessions in a file, \"live\" to keep them in memory, "+
				"or \"redis://HOST:6379\" or \"postgres://HOST/DATABASE\" to share them between processes",
			name,
		)
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
	where := fmt.Sprintf("Sessions are kept in %s, and the keys of their cookies in %s: both survive a restart.",
		path, keyFile)
	return &storage{sessions, keys, where}, nil
}

// shared returns storage for several processes, in a database. They must have the same keys: on
// several machines, copy the file.
func shared(database, keyFile string, open func() (closingStore, error)) (*storage, error) {
	if keyFile == "" {
		keyFile = "demo.keys"
	}
	keys, err := bridge.LoadOrCreateKeys(keyFile)
	if err != nil {
		return nil, err
	}
	sessions, err := open()
	if err != nil {
		return nil, fmt.Errorf("can't keep sessions in %s: %w", database, err)
	}
	where := fmt.Sprintf("Sessions are kept in %s, and the keys of their cookies in %s: "+
		"start another process with the same two and another -addr.", database, keyFile)
	return &storage{sessions, keys, where}, nil
}

// inMemory returns storage that ends with the process.
func inMemory(keyFile string) (*storage, error) {
	if keyFile == "" {
		key := make([]byte, 64)
		_, _ = rand.Read(key) // never fails
		const where = "Sessions are kept in memory, and their cookies are signed with a random key: a restart ends them."
		return &storage{livestore.New(), [][]byte{key}, where}, nil
	}
	keys, err := bridge.LoadOrCreateKeys(keyFile)
	if err != nil {
		return nil, err
	}
	where := "Sessions are kept in memory: a restart ends them. " +
		"Client cookies stay valid with the keys in " + keyFile + "."
	return &storage{livestore.New(), keys, where}, nil
}
