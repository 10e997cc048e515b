// Package storage opens the stores that the command line names, and the keys that sign cookies.
package storage

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/filestore"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/pgstore"
	"github.com/sessionbridge/sessionbridge/redisstore"
	"github.com/sessionbridge/sessionbridge/store"
)

// Live is the name of a store in memory.
const Live = "live"

// Store is an open store.
type Store interface {
	store.Store
	io.Closer
}

// ErrName: the name is not that of a store.
var ErrName = errors.New(`a store is "live", "file:PATH", "redis://HOST:6379" or "postgres://HOST/DATABASE"`)

// handover is how long a file may still be in use by the process that this one replaces.
const handover = 10 * time.Second

// Open opens the store with the name: live, file:PATH, or the URL of a Redis or a PostgreSQL. ErrName.
func Open(ctx context.Context, name string, logger *slog.Logger) (Store, error) {
	path, isFile := strings.CutPrefix(name, "file:")
	switch {
	case name == Live:
		return livestore.New(), nil
	case isFile && path != "":
		return openFile(ctx, path, logger)
	case isRedis(name):
		return redisstore.Open(ctx, name, nil)
	case isPostgres(name):
		return pgstore.Open(ctx, name, nil)
	}
	return nil, wrongName(name)
}

// openFile opens a file, which another process may be about to close.
func openFile(ctx context.Context, path string, logger *slog.Logger) (Store, error) {
	opts := filestore.Options{LockWait: handover / 100, Logger: logger}
	var locked *filestore.LockedError
	for until := time.Now().Add(handover); ; {
		st, err := filestore.Open(path, &opts)
		switch {
		case !errors.As(err, &locked) || time.Now().After(until):
			return st, err
		case ctx.Err() != nil:
			return nil, errors.Join(context.Cause(ctx), err)
		}
	}
}

// Exists returns an error if the name is that of a file that doesn't exist.
func Exists(name string) error {
	path, isFile := strings.CutPrefix(name, "file:")
	if !isFile {
		return nil
	}
	_, err := os.Stat(path)
	return err
}

func wrongName(name string) error {
	scheme, _, _ := strings.Cut(name, ":") // the rest may contain a password
	return fmt.Errorf("store %.20q: %w", scheme, ErrName)
}

func isRedis(name string) bool { return hasScheme(name, "redis", "rediss", "unix") }

func isPostgres(name string) bool { return hasScheme(name, "postgres", "postgresql") }

func hasScheme(name string, schemes ...string) bool {
	scheme, _, ok := strings.Cut(name, "://")
	return ok && slices.Contains(schemes, scheme)
}

// KeyFiles are the files with the keys that sign cookies, at most one of them.
type KeyFiles struct {
	Own     string // is created if it doesn't exist, and is readable by its owner only
	Mounted string // is made by another program: a mounted secret
}

// Keys returns the keys for the cookies of the store with the name. Without files they are random
// for a store in memory, and in a file of their own beside the file of a store. Processes that
// share a database need the same file. ErrName.
func (f KeyFiles) Keys(name string) ([][]byte, error) {
	path, isFile := strings.CutPrefix(name, "file:")
	isFile = isFile && path != ""
	switch {
	case !isFile && name != Live && !isRedis(name) && !isPostgres(name):
		return nil, wrongName(name)
	case f.Own != "" && f.Mounted != "":
		return nil, errors.New("there are two files with keys for the cookies: set one")
	case f.Mounted != "":
		return bridge.LoadKeys(f.Mounted)
	case f.Own != "":
		return bridge.LoadOrCreateKeys(f.Own)
	case isFile:
		return bridge.LoadOrCreateKeys(path + ".keys")
	case name == Live:
		key := make([]byte, 64)
		_, _ = rand.Read(key) // never fails
		return [][]byte{key}, nil
	}
	return nil, errors.New("a shared store needs a file with the keys that sign cookies, the same for all processes")
}
