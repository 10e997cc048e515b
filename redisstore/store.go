package redisstore

import (
	"context"
	"strconv"
	"time"

	"github.com/redis/rueidis"

	"github.com/sessionbridge/sessionbridge/store"
)

// Store is a store in Redis, or one of its Apps. It has every optional capability of package store, and is safe for concurrent use, by
// several processes too.
type Store struct {
	engine   *engine
	app      string
	prefixes []string // of the keys of each shard

	member *membership // of the node that this is a view of; nil: of none
}

var (
	_ store.Store         = (*Store)(nil)
	_ store.Lister        = (*Store)(nil)
	_ store.Toucher       = (*Store)(nil)
	_ store.Sweeper       = (*Store)(nil)
	_ store.UserIndex     = (*Store)(nil)
	_ store.ClientIndex   = (*Store)(nil)
	_ store.ActivityIndex = (*Store)(nil)
	_ store.ActiveLister  = (*Store)(nil)
	_ store.Optimizer     = (*Store)(nil)
	_ store.Pinger        = (*Store)(nil)
	_ store.Namespacer    = (*Store)(nil)
)

// place is where a session is.
type place struct {
	shard               int
	prefix, member, key string
}

func (s *Store) place(id string) place {
	member := memberOf(id)
	shard := shardOf(member, len(s.prefixes))
	prefix := s.prefixes[shard]
	return place{shard, prefix, member, recordKey(prefix, member)}
}

func recordKey(prefix, member string) string { return prefix + "s" + member }

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, id string) (store.Record, error) {
	const doing = "get"
	if err := s.engine.ready(ctx, doing); err != nil {
		return store.Record{}, err
	}
	limited, cancel := s.engine.limit(ctx)
	defer cancel()
	client := s.engine.client
	value, err := client.Do(limited, client.B().Get().Key(s.place(id).key).Build()).ToString()
	if rueidis.IsRedisNil(err) {
		return store.Record{}, store.ErrNotFound
	}
	if err != nil {
		return store.Record{}, s.engine.explain(ctx, doing, err)
	}
	rec, err := recordOf(id, value)
	if err != nil {
		return store.Record{}, damaged(doing, err)
	}
	return rec, nil
}

// Set implements store.Store. When the memory of Redis is full it is refused, with an error that says so.
func (s *Store) Set(ctx context.Context, rec store.Record) (uint64, error) {
	p := s.place(rec.ID)
	if rec.Revision == 0 && s.member != nil {
		s.member.again[p.shard].forget(p.member)
	}
	n, err := s.change(ctx, "set", call{
		&s.engine.scripts.set, p.prefix, []string{p.member, revisionText(rec.Revision), string(makeValue(&rec)), s.actor()},
	})
	switch {
	case err != nil:
		return 0, err
	case n == -1:
		return 0, store.ErrNotFound
	case n == -2:
		return 0, store.ErrConflict
	case n == -3:
		return 0, store.ErrBusy
	case n <= accessChanged: // a login, a rotation, another user
		n = accessChanged - n
		err = s.engine.waitForReplicas(ctx, "set", p.prefix)
	}
	if err != nil {
		return 0, err
	}
	return uint64(n), nil //nolint:gosec // not negative
}

// accessChanged is what the script answers with instead of revision 0, if it has changed who may use the session.
const accessChanged = -10

// revisionText returns a revision as scripts are told it.
func revisionText(revision uint64) string {
	var six [6]byte
	putSix(six[:], min(revision, maxNumber)) // which no revision reaches
	return string(six[:])
}

// Destroy implements store.Store. It works when the memory of Redis is full, too.
func (s *Store) Destroy(ctx context.Context, id string) (bool, error) {
	return s.end(ctx, "destroy", id, "", 0)
}

// Touch implements store.Toucher.
func (s *Store) Touch(ctx context.Context, id string, seen time.Time) error {
	p := s.place(id)
	n, err := s.change(ctx, "touch", call{
		&s.engine.scripts.touch, p.prefix, []string{p.member, strconv.FormatUint(millisOf(seen), 10)},
	})
	if err == nil && n == -1 {
		err = store.ErrNotFound
	}
	return err
}

// change runs a script that changes one session and answers with a number.
func (s *Store) change(ctx context.Context, doing string, c call) (int64, error) {
	answer, err := s.engine.run(ctx, doing, c)
	if err != nil {
		return 0, err
	}
	n, err := answer.AsInt64()
	if err != nil {
		return 0, damaged(doing, err)
	}
	return n, nil
}
