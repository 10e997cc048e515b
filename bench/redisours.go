package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sessionbridge/sessionbridge/redisstore"
	"github.com/sessionbridge/sessionbridge/store"
)

// redisSide does things to sessions in Redis.
type redisSide interface {
	// run does the operation n times, width of them at once, and returns how long it took, and how
	// many sessions it has met.
	run(op string, n, width int) (took time.Duration, met int, err error)
	close() error
}

// oursInRedis is this library's store in Redis.
type oursInRedis struct {
	store     *redisstore.Store
	ids       []string // of the sessions that were created
	revisions []uint64
}

func openOursInRedis(url string) (*oursInRedis, error) {
	st, err := redisstore.Open(context.Background(), url, nil)
	if err != nil {
		return nil, err
	}
	return &oursInRedis{store: st}, nil
}

func (o *oursInRedis) close() error { return o.store.Close() }

// redisSession is the nth session, stored as often as its revision says.
func redisSession(n int, revision uint64) store.Record {
	rec := fileSession(n, revision+1, time.Now())
	rec.UserID = userOf(n)
	return rec
}

func userOf(n int) string { return "user-" + strconv.Itoa(n/perUser) }

func (o *oursInRedis) run(op string, n, width int) (time.Duration, int, error) {
	do, ok := map[string]func(ctx context.Context, i int) (int, error){
		"create": o.create, "get": o.get, "set": o.set, "destroy": o.destroy, "cached": o.cached,
		"user": o.ofUser, "active": o.active, "lately": o.lately, "destroy all": o.destroyAll, "sweep": o.sweep,
	}[op]
	if !ok {
		return 0, 0, fmt.Errorf("no operation is called %s", op)
	}
	switch op {
	case "create":
		o.ids, o.revisions = make([]string, n), make([]uint64, n)
		for i := range o.ids {
			o.ids[i] = idOf(i)
		}
	case "cached": // they are known when the time is taken
		if _, err := spread(len(o.revisions), width, o.cached); err != nil {
			return 0, 0, err
		}
	}
	start := time.Now()
	met, err := spread(n, width, do)
	return time.Since(start), met, err
}

// spread calls do for 0 to n-1, by so many goroutines, and returns the sum of what it says.
func spread(n, width int, do func(ctx context.Context, i int) (int, error)) (int, error) {
	var (
		wg        sync.WaitGroup
		next, sum atomic.Int64
		failed    atomic.Pointer[error]
	)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for range width {
		wg.Go(func() {
			met := 0
			for i := int(next.Add(1) - 1); i < n; i = int(next.Add(1) - 1) {
				more, err := do(ctx, i)
				if err != nil {
					failed.CompareAndSwap(nil, &err)
					cancel()
					break
				}
				met += more
			}
			sum.Add(int64(met))
		})
	}
	wg.Wait()
	if first := failed.Load(); first != nil {
		return 0, *first
	}
	return int(sum.Load()), nil
}

// anyOf returns one of the sessions; as many in a row as there are, and each comes once.
func (o *oursInRedis) anyOf(i int) int { return i * 7919 % len(o.revisions) }

func (o *oursInRedis) create(ctx context.Context, i int) (_ int, err error) {
	o.revisions[i], err = o.store.Set(ctx, redisSession(i, 0))
	return 1, err
}

func (o *oursInRedis) get(ctx context.Context, i int) (int, error) {
	return whole(o.store.Get(ctx, o.ids[o.anyOf(i)]))
}

func (o *oursInRedis) cached(ctx context.Context, i int) (int, error) {
	return whole(o.store.GetCached(ctx, o.ids[o.anyOf(i)]))
}

// whole counts the session if it is all there.
func whole(rec store.Record, err error) (int, error) {
	if errors.Is(err, store.ErrNotFound) {
		return 0, nil
	}
	if len(rec.Data) != len(sessionData) {
		return 0, err
	}
	return 1, err
}

// set stores a session that has been read, as it is at the end of a request.
func (o *oursInRedis) set(ctx context.Context, i int) (_ int, err error) {
	n := o.anyOf(i)
	o.revisions[n], err = o.store.Set(ctx, redisSession(n, o.revisions[n]))
	return 1, err
}

func (o *oursInRedis) destroy(ctx context.Context, i int) (int, error) {
	was, err := o.store.Destroy(ctx, o.ids[i])
	if !was {
		return 0, err
	}
	return 1, err
}

func (o *oursInRedis) ofUser(ctx context.Context, i int) (met int, err error) {
	for rec, err := range o.store.ByUser(ctx, userOf(o.anyOf(i))) {
		if err != nil {
			return met, err
		}
		if len(rec.Data) == len(sessionData) {
			met++
		}
	}
	return met, nil
}

// active counts users.
func (o *oursInRedis) active(ctx context.Context, _ int) (int, error) {
	users := map[string]struct{}{}
	for a, err := range o.store.ListActive(ctx, time.Now().Add(-time.Hour), time.Now()) {
		if err != nil {
			return 0, err
		}
		users[a.UserID] = struct{}{}
	}
	return len(users), nil
}

func (o *oursInRedis) lately(ctx context.Context, _ int) (met int, err error) {
	for rec, err := range o.store.ActiveSince(ctx, time.Now().Add(-time.Hour)) {
		if err != nil {
			return met, err
		}
		if len(rec.Data) == len(sessionData) {
			met++
		}
	}
	return met, nil
}

// destroyAll counts the sessions that are reported.
func (o *oursInRedis) destroyAll(ctx context.Context, _ int) (met int, err error) {
	err = o.store.EndAll(ctx, "", func(rec store.Record) {
		if len(rec.Data) == len(sessionData) {
			met++
		}
	})
	return met, err
}

// sweep removes all sessions as if they had expired, as the bridge does it.
func (o *oursInRedis) sweep(ctx context.Context, _ int) (int, error) {
	const piece = 256
	for met, later := 0, time.Now().Add(48*time.Hour); ; {
		recs, err := o.store.Sweep(ctx, later, piece)
		met += len(recs)
		if err != nil || len(recs) < piece {
			return met, err
		}
	}
}
