package redisstore

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"github.com/sessionbridge/sessionbridge/internal/uuidtext"
	"github.com/sessionbridge/sessionbridge/redisstore/internal/codec"
	"github.com/sessionbridge/sessionbridge/redisstore/internal/conn"
	"github.com/sessionbridge/sessionbridge/store"
)

const (
	// cacheTTL is how long the client keeps a session if Redis never invalidates it.
	cacheTTL = time.Minute

	// attempts is how often in a row a call waits for the reply to another call's command.
	attempts = 8
)

// GetCached implements store.CachedGetter. Redis remembers what each connection has read, and
// invalidates it once with the next change, including those by this store; the client then drops
// the session, and all sessions when the connection ends. So the result is the session at the time
// of the last invalidation, and consecutive calls on a connection never return an older revision
// than before. Compared with Get, or with what the caller has just stored, it may be behind for a
// moment. An unresponsive server is noticed after Options.Timeout and a second; no session is kept
// longer than a minute.
//
// Without a cache (Options.CacheBytes) it is Get.
func (s *Store) GetCached(ctx context.Context, id string) (store.Record, error) {
	const doing = "get cached"
	if !s.backend.cached {
		return s.Get(ctx, id)
	}
	if err := s.backend.Ready(ctx, doing); err != nil {
		return store.Record{}, err
	}
	limited := &lazyLimit{Context: ctx, timeout: s.backend.Timeout}
	defer limited.stop()
	client, key := s.backend.Client, s.key(id)
	for range attempts {
		// Without a static TTL the client would also ask for that of the key, in a transaction.
		result := client.DoCache(limited, client.B().Get().Key(key).Cache().ToStaticTTL(), cacheTTL)
		value, err := result.ToString()
		switch {
		case err == nil:
			rec, err := codec.Decode(id, value)
			if err != nil {
				return store.Record{}, conn.Damaged(doing, err)
			}
			return rec, nil
		case rueidis.IsRedisNil(err) && result.IsCacheHit():
			return s.Get(ctx, id) // the session may have been created since
		case rueidis.IsRedisNil(err):
			return store.Record{}, store.ErrNotFound
		case errors.Is(err, rueidis.ErrDoCacheAborted):
			return s.Get(ctx, id) // the connection was lost, or a cluster has redirected the client
		case limited.Err() != nil || !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded):
			return store.Record{}, s.backend.Explain(ctx, doing, err)
		}
		// This call has waited for the reply to another call, whose context has ended.
	}
	return s.Get(ctx, id)
}

// key returns place(id).key, with a single allocation if the ID is a UUID.
func (s *Store) key(id string) string {
	raw, ok := uuidtext.Parse(id)
	if !ok {
		return s.place(id).key
	}
	return codec.RecordKey(s.prefixes[codec.Shard(string(raw[:]), len(s.prefixes))], string(raw[:]))
}

// lazyLimit is the context that Conn.Limit returns, made when it is first waited for: a cache hit
// needs no timer.
type lazyLimit struct {
	context.Context // the caller's
	timeout         time.Duration

	once    sync.Once
	limited context.Context
	cancel  context.CancelFunc
}

func (l *lazyLimit) start() context.Context {
	l.once.Do(func() { l.limited, l.cancel = context.WithTimeout(l.Context, l.timeout) })
	return l.limited
}

// stop releases the timer. No other method may be called afterwards.
func (l *lazyLimit) stop() {
	if l.cancel != nil {
		l.cancel()
	}
}

// Deadline reports none, as that of Conn.Limit.
func (*lazyLimit) Deadline() (time.Time, bool) { return time.Time{}, false }

// Done implements context.Context.
func (l *lazyLimit) Done() <-chan struct{} { return l.start().Done() }

// Err implements context.Context.
func (l *lazyLimit) Err() error { return l.start().Err() }
