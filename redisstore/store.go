package redisstore

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"github.com/sessionbridge/sessionbridge/internal/background"
	"github.com/sessionbridge/sessionbridge/redisstore/internal/codec"
	"github.com/sessionbridge/sessionbridge/redisstore/internal/conn"
	"github.com/sessionbridge/sessionbridge/redisstore/internal/membership"
	"github.com/sessionbridge/sessionbridge/redisstore/internal/scripts"
	"github.com/sessionbridge/sessionbridge/store"
)

// Store is a store in Redis, or one of its Apps. It has every optional capability of package store,
// and is safe for concurrent use, by several processes too.
type Store struct {
	backend  *backend
	app      string
	prefixes []string // the key prefix of each shard

	member *membership.Member // of the node that this is the view of, nil without one
}

// backend is what a store and its Apps share.
type backend struct {
	*conn.Conn
	scripts    *scripts.Scripts
	background *background.Group
	namespace  string
	shards     int
	ownsClient bool // Close closes the client
	cached     bool // the client caches reads and is notified of changes
}

func (b *backend) store(app string) *Store {
	return &Store{backend: b, app: app, prefixes: codec.Prefixes(b.namespace, app, b.shards)}
}

var (
	_ store.Store         = (*Store)(nil)
	_ store.Lister        = (*Store)(nil)
	_ store.Toucher       = (*Store)(nil)
	_ store.Sweeper       = (*Store)(nil)
	_ store.UserIndex     = (*Store)(nil)
	_ store.ClientIndex   = (*Store)(nil)
	_ store.ClientOrder   = (*Store)(nil)
	_ store.ActivityIndex = (*Store)(nil)
	_ store.ActiveLister  = (*Store)(nil)
	_ store.Optimizer     = (*Store)(nil)
	_ store.Pinger        = (*Store)(nil)
	_ store.Namespacer    = (*Store)(nil)
	_ store.Watcher       = (*Store)(nil)
	_ store.Ender         = (*Store)(nil)
	_ store.UserLocker    = (*Store)(nil)
	_ store.CachedGetter  = (*Store)(nil)
	_ store.Keeper        = (*Store)(nil)
)

// place is where a session is stored.
type place struct {
	shard               int
	prefix, member, key string
}

func (s *Store) place(id string) place {
	member := codec.Member(id)
	shard := codec.Shard(member, len(s.prefixes))
	prefix := s.prefixes[shard]
	return place{shard, prefix, member, codec.RecordKey(prefix, member)}
}

// actor returns the name of the node that this is the view of, or "".
func (s *Store) actor() string {
	if s.member == nil {
		return ""
	}
	return s.member.Name()
}

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, id string) (store.Record, error) {
	const doing = "get"
	if err := s.backend.Ready(ctx, doing); err != nil {
		return store.Record{}, err
	}
	limited, cancel := s.backend.Limit(ctx)
	defer cancel()
	client := s.backend.Client
	value, err := client.Do(limited, client.B().Get().Key(s.place(id).key).Build()).ToString()
	if rueidis.IsRedisNil(err) {
		return store.Record{}, store.ErrNotFound
	}
	if err != nil {
		return store.Record{}, s.backend.Explain(ctx, doing, err)
	}
	rec, err := codec.Decode(id, value)
	if err != nil {
		return store.Record{}, conn.Damaged(doing, err)
	}
	return rec, nil
}

// Results of the script set that are not a revision.
const (
	setNotFound = -1
	setConflict = -2
	setBusy     = -3

	// setAccess minus the revision is returned if the change affects who may use the session: a
	// login, a new token, another user.
	setAccess = -10
)

// Set implements store.Store. When the memory of Redis is full it returns an error that says so.
func (s *Store) Set(ctx context.Context, rec store.Record) (uint64, error) {
	const doing = "set"
	p := s.place(rec.ID)
	n, err := s.backend.RunInt(ctx, doing, s.setting(p, &rec))
	switch {
	case err != nil:
		return 0, err
	case n == setNotFound:
		return 0, store.ErrNotFound
	case n == setConflict:
		return 0, store.ErrConflict
	case n == setBusy:
		return 0, store.ErrBusy
	case n <= setAccess:
		n = setAccess - n
		err = s.backend.WaitForReplicas(ctx, doing, p.prefix)
	}
	if err != nil {
		return 0, err
	}
	return uint64(n), nil //nolint:gosec // not negative
}

// setting returns the script that creates or updates a session.
func (s *Store) setting(p place, rec *store.Record) scripts.Call {
	if rec.Revision > 0 {
		value := codec.Encode(rec)
		from, to := codec.Beginning(value)
		return s.backend.scripts.Set.On(p.prefix, p.member, codec.NumberText(rec.Revision), value, s.actor(),
			strconv.Itoa(from+1), strconv.Itoa(to)) // Lua counts from 1
	}
	if s.member != nil {
		s.member.SessionCreated(p.shard, p.member)
	}
	created := codec.EncodeNew(rec)
	return s.backend.scripts.Create.On(p.prefix, p.member, created.Value, s.actor(),
		decimal(created.Active), decimal(created.Expires), decimal(created.User), decimal(created.Client),
		codec.NumberText(codec.Millis(rec.Began())), timeToLive(&created))
}

func decimal(n uint64) string { return strconv.FormatUint(n, 10) }

// margin is how long a session is kept after its expiry if it isn't swept.
const margin = 48 * time.Hour

// timeToLive returns the time to live of a new session in milliseconds, "" for unlimited. It is a
// duration, so that the clocks of Redis and of its clients need not agree.
func timeToLive(created *codec.New) string {
	if created.Expires == 0 {
		return ""
	}
	left := created.Expires - min(created.Active, created.Expires)
	return decimal(left + uint64(margin.Milliseconds()))
}

// Touch implements store.Toucher.
func (s *Store) Touch(ctx context.Context, id string, seen time.Time) error {
	p := s.place(id)
	n, err := s.backend.RunInt(ctx, "touch", s.backend.scripts.Touch.On(
		p.prefix, p.member, strconv.FormatUint(codec.Millis(seen), 10)))
	if err == nil && n == setNotFound {
		err = store.ErrNotFound
	}
	return err
}

// Destroy implements store.Store. It works when the memory of Redis is full, too.
func (s *Store) Destroy(ctx context.Context, id string) (bool, error) {
	return s.destroy(ctx, "destroy", id, "", 0)
}

// maxReason is the maximum length of a reason in bytes.
const maxReason = 64

// End implements store.Ender. A longer reason than 64 bytes is truncated.
func (s *Store) End(ctx context.Context, id, reason string, revision uint64) (bool, error) {
	return s.destroy(ctx, "end", id, truncated(reason), revision)
}

// truncated returns a reason without what is too long of it.
func truncated(reason string) string {
	if len(reason) > maxReason { // and what is left of a character that was cut
		return strings.ToValidUTF8(reason[:maxReason], "")
	}
	return reason
}

func (s *Store) destroy(ctx context.Context, doing, id, reason string, revision uint64) (bool, error) {
	p := s.place(id)
	expected := ""
	if revision > 0 {
		expected = codec.NumberText(revision)
	}
	n, err := s.backend.RunInt(ctx, doing, s.backend.scripts.Destroy.On(
		p.prefix, p.member, s.actor(), reason, expected))
	if n == 1 && s.member != nil {
		s.member.SessionDestroyed(p.shard, p.member, reason)
	}
	switch n {
	case setConflict:
		err = store.ErrConflict
	case 1:
		err = s.backend.WaitForReplicas(ctx, doing, p.prefix)
	}
	return n == 1 && err == nil, err
}
