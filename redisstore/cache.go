package redisstore

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"github.com/sessionbridge/sessionbridge/internal/uuidtext"
	"github.com/sessionbridge/sessionbridge/store"
)

const (
	// defaultCacheBytes is about 40,000 sessions.
	defaultCacheBytes = 32 << 20

	// cachedFor is how long the client keeps what it has read, should Redis never tell it of a change.
	cachedFor = time.Minute

	// attempts is how often in a row a call waits for the answer to another's question.
	attempts = 8
)

var _ store.CachedGetter = (*Store)(nil)

// GetCached implements store.CachedGetter. Redis remembers what each connection has read, and tells it once of the next change, whoever makes it, this store
// included; the client forgets the session then, and all sessions when the connection is lost. So what it returns was the session when it was last told, and
// calls one after the other on a connection never go back to an older revision; compared with Get, or with what the caller has just stored, it may be behind
// for a moment. A server that is silent is noticed after Options.Timeout and a second; nothing is kept longer than a minute.
//
// Without a cache (Options.CacheBytes) it is Get.
func (s *Store) GetCached(ctx context.Context, id string) (store.Record, error) {
	const doing = "get cached"
	if !s.engine.cached {
		return s.Get(ctx, id)
	}
	if err := s.engine.ready(ctx, doing); err != nil {
		return store.Record{}, err
	}
	limited := &onDemand{Context: ctx, timeout: s.engine.timeout}
	defer limited.end()
	client, key := s.engine.client, s.key(id)
	for range attempts {
		// Without the static TTL the client would ask for the key's, in a transaction. That of a session says nothing about its age.
		result := client.DoCache(limited, client.B().Get().Key(key).Cache().ToStaticTTL(), cachedFor)
		value, err := result.ToString()
		switch {
		case err == nil:
			rec, err := recordOf(id, value)
			if err != nil {
				return store.Record{}, damaged(doing, err)
			}
			return rec, nil
		case rueidis.IsRedisNil(err) && result.IsCacheHit():
			return s.Get(ctx, id) // it may have been created since
		case rueidis.IsRedisNil(err):
			return store.Record{}, store.ErrNotFound
		case errors.Is(err, rueidis.ErrDoCacheAborted):
			return s.Get(ctx, id) // the connection was lost, or a cluster has sent the client elsewhere
		case limited.Err() != nil || !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded):
			return store.Record{}, s.engine.explain(ctx, doing, err)
		}
		// The context of another call has ended, which was asking for the same session, and whose answer this one has waited for.
	}
	return s.Get(ctx, id)
}

// key is place(id).key, in one piece of memory if the ID is a UUID.
func (s *Store) key(id string) string {
	raw, ok := uuidtext.Parse(id)
	if !ok {
		return s.place(id).key
	}
	return s.prefixes[shardOf(string(raw[:]), len(s.prefixes))] + "s" + string(raw[:])
}

// onDemand is what engine.limit returns, made when somebody waits for it: what is answered from memory needs no timer.
type onDemand struct {
	context.Context // the caller's
	timeout         time.Duration

	once    sync.Once
	limited context.Context
	cancel  context.CancelFunc
}

func (o *onDemand) begin() context.Context {
	o.once.Do(func() { o.limited, o.cancel = context.WithTimeout(o.Context, o.timeout) })
	return o.limited
}

// end frees the timer. It comes after everything else.
func (o *onDemand) end() {
	if o.cancel != nil {
		o.cancel()
	}
}

// Deadline hides when it ends, as limited does.
func (*onDemand) Deadline() (time.Time, bool) { return time.Time{}, false }

// Done implements context.Context.
func (o *onDemand) Done() <-chan struct{} { return o.begin().Done() }

// Err implements context.Context.
func (o *onDemand) Err() error { return o.begin().Err() }
