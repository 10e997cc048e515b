package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sessionbridge/sessionbridge/filestore"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/redisstore"
	"github.com/sessionbridge/sessionbridge/store"
	"github.com/sessionbridge/sessionbridge/store/sealed"
)

// sealedSessions is how many sessions these rows use in turn: few, as those of the requests under
// way at a time. A sealed store reads a session first that it has not opened lately.
const sealedSessions = 2 * redisWidth

// sealedGroups compare each store below store/sealed with the same store alone.
func sealedGroups() []group {
	a := &sealedArena{}
	var all []group
	for _, in := range []struct {
		name  string
		open  func() (store.Store, error)
		width int
	}{
		{"livestore", func() (store.Store, error) { return livestore.New(), nil }, 1},
		{"filestore", a.openFile, 1},
		{"redisstore", a.openRedis, redisWidth},
	} {
		side := func(name string, key []byte, op vaultOp) side {
			return side{name, func() (*subject, error) {
				st, err := in.open()
				if err != nil {
					return nil, err
				}
				return vaultOf(st, key, in.width, op)
			}}
		}
		against := func(name string, op vaultOp) group {
			return group{
				name: "sealed/" + in.name + " " + name,
				ours: side("sealed", bytes.Repeat([]byte("a secret"), 4), op), peer: side("plain", nil, op),
				rows:    []row{{"", nsPerOp, every(extraUnder(2*time.Microsecond), extraAllocsAtMost(3))}},
				fixture: a, turns: 20,
			}
		}
		all = append(all, against("get", (*vault).get), against("set", (*vault).set))
	}
	return all
}

// sealedArena has what the stores need: a folder, and a Redis.
type sealedArena struct {
	arena
	server *redisServer
}

func (a *sealedArena) close() (err error) {
	if a.server != nil {
		err = a.server.close()
	}
	a.server = nil
	return errors.Join(err, a.arena.close())
}

// openFile opens a new store of files. It syncs once a minute: a sync takes far longer, and not
// always equally long.
func (a *sealedArena) openFile() (store.Store, error) {
	dir, err := a.dir()
	if err != nil {
		return nil, err
	}
	if dir, err = os.MkdirTemp(dir, "sealed-"); err != nil {
		return nil, err
	}
	return filestore.Open(filepath.Join(dir, "sessions.db"), &filestore.Options{SyncEvery: time.Minute})
}

// openRedis opens a store of its own namespace.
func (a *sealedArena) openRedis() (store.Store, error) {
	if a.server == nil {
		var err error
		if a.server, err = startRedis(); err != nil {
			return nil, err
		}
	}
	dir, err := a.dir()
	if err != nil {
		return nil, err
	}
	if dir, err = os.MkdirTemp(dir, "redis-"); err != nil { // for its name, which no other has
		return nil, err
	}
	return redisstore.Open(context.Background(), a.server.url(), &redisstore.Options{Namespace: filepath.Base(dir)})
}

// vault is a store with sessions, sealed or not.
type vault struct {
	store    store.Store
	sessions [sealedSessions]struct {
		mu       sync.Mutex // held by the only call that changes the session
		revision uint64
	}
	now time.Time
}

// vaultOp is an operation on the session of that number. It returns how many sessions it has met.
type vaultOp func(*vault, context.Context, int) (int, error)

// vaultOf fills the store, sealed with the key if there is one.
func vaultOf(inner store.Store, key []byte, width int, op vaultOp) (*subject, error) {
	v := &vault{store: inner, now: time.Now()}
	closed := func() error {
		if c, ok := inner.(io.Closer); ok {
			return c.Close()
		}
		return nil
	}
	var err error
	if key != nil {
		v.store, err = sealed.New(inner, [][]byte{key}, nil)
	}
	if err == nil {
		_, err = spread(sealedSessions, width, v.set)
	}
	if err != nil {
		return nil, errors.Join(err, closed())
	}
	var met atomic.Int64
	return &subject{
		run: func(n int) error {
			some, err := spread(n, width, func(ctx context.Context, i int) (int, error) { return op(v, ctx, i) })
			met.Add(int64(some))
			return err
		},
		check: func(n int) error { return same("sessions met", int(met.Load()), n) },
		close: closed,
	}, nil
}

func (v *vault) get(ctx context.Context, i int) (int, error) {
	rec, err := v.store.Get(ctx, idOf(i%sealedSessions))
	return min(len(rec.Data)/len(sessionData), 1), err
}

func (v *vault) set(ctx context.Context, i int) (int, error) {
	s := &v.sessions[i%sealedSessions]
	s.mu.Lock()
	defer s.mu.Unlock()
	revision, err := v.store.Set(ctx, fileSession(i%sealedSessions, s.revision+1, v.now))
	if err != nil || revision != s.revision+1 {
		return 0, err
	}
	s.revision = revision
	return 1, nil
}
