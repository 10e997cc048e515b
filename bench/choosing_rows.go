package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"github.com/sessionbridge/sessionbridge/filestore"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/redisstore"
	"github.com/sessionbridge/sessionbridge/store"
)

// choosingGroups compare this library's stores with each other, for docs/choosing.md: all of them keep
// what they have acknowledged, but for the one in memory. They have no targets.
func choosingGroups() []group {
	a := &choosingArena{}
	var all []group
	for _, op := range []postgresOp{{"get", 1}, {"get", 64}, {"set", 1}, {"set", 64}} {
		g := group{
			name: fmt.Sprintf("stores/%s, %d in flight", op.name, op.width), ours: a.side("pgstore", op),
			rows: []row{{"", perSecond, target{}}}, rounds: 3, fixture: a,
		}
		for _, name := range []string{"redisstore", "filestore", "livestore"} {
			g.rivals = append(g.rivals, rival{peer: a.side(name, op), rows: []row{{name, perSecond, target{}}}})
		}
		all = append(all, g)
	}
	return all
}

// choosingArena has the four stores, each with as many sessions. They are opened when one is needed first.
type choosingArena struct {
	quick  bool
	stores map[string]*chosen
	closes []func() error
}

// chosen is one of the stores.
type chosen struct {
	store.Store
	revisions []atomic.Uint64
}

func (a *choosingArena) prepare(quick bool, _ io.Writer) { a.quick = quick }

func (a *choosingArena) close() (err error) {
	for _, each := range slices.Backward(a.closes) {
		err = errors.Join(err, each())
	}
	a.closes, a.stores = nil, nil
	return err
}

func (a *choosingArena) open() error {
	if a.stores != nil {
		return nil
	}
	a.stores = map[string]*chosen{}
	dir, err := os.MkdirTemp("", "sessionbridge-bench-")
	if err != nil {
		return err
	}
	a.closes = append(a.closes, func() error { return os.RemoveAll(dir) })
	postgres, err := startPostgres(0)
	if err != nil {
		return err
	}
	a.closes = append(a.closes, postgres.close)
	redis, err := startRedis()
	if err != nil {
		return err
	}
	a.closes = append(a.closes, redis.close)
	for _, setting := range [][2]string{{"appendfsync", "always"}, {"appendonly", "yes"}} {
		if _, err := redis.do("CONFIG", "SET", setting[0], setting[1]); err != nil {
			return err
		}
	}
	for name, open := range map[string]func() (store.Store, error){
		"livestore":  func() (store.Store, error) { return livestore.New(), nil },
		"filestore":  func() (store.Store, error) { return filestore.Open(filepath.Join(dir, "sessions.db"), nil) },
		"redisstore": func() (store.Store, error) { return redisstore.Open(context.Background(), redis.url(), nil) },
		"pgstore":    func() (store.Store, error) { return postgres.store("choosing") },
	} {
		st, err := open()
		if err != nil {
			return err
		}
		a.closes = append(a.closes, st.(io.Closer).Close) //nolint:forcetypeassert // all of them are
		c := &chosen{st, make([]atomic.Uint64, a.sessions())}
		if _, err := spread(a.sessions(), redisWidth, c.set); err != nil {
			return err
		}
		a.stores[name] = c
	}
	return nil
}

func (a *choosingArena) sessions() int {
	if a.quick {
		return 300
	}
	return 10_000
}

func (a *choosingArena) side(name string, op postgresOp) side {
	return side{name, func() (*subject, error) {
		if err := a.open(); err != nil {
			return nil, err
		}
		c, lasts := a.stores[name], 1500*time.Millisecond
		if a.quick {
			lasts = 20 * time.Millisecond
		}
		do := c.get
		if op.name == "set" {
			do = c.set
		}
		return &subject{
			measure: func(bool) (sample, error) {
				n, took, err := repeated(do, a.sessions(), op.width, lasts)
				return sample{perSecond: float64(n) / took.Seconds()}, err
			},
			close: func() error { return nil },
		}, nil
	}}
}

func (c *chosen) get(ctx context.Context, i int) (int, error) { return whole(c.Get(ctx, idOf(i))) }

func (c *chosen) set(ctx context.Context, i int) (int, error) {
	return setOne(ctx, c, i, &c.revisions[i])
}

// setOne stores the nth session. It doesn't count if another goroutine does the same at the moment.
func setOne(ctx context.Context, st store.Store, n int, revision *atomic.Uint64) (int, error) {
	now, err := st.Set(ctx, postgresSession(n, revision.Load()))
	switch {
	case errors.Is(err, store.ErrConflict):
		return 0, nil
	case err == nil:
		revision.Store(now)
	}
	return 1, err
}
