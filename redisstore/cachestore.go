package redisstore

import (
	"context"
	"hash/maphash"
	"sync"
	"time"

	"github.com/redis/rueidis"
)

// cacheStore is what one connection of Open has read. It is used with GET only. The client's own keeps all in one list under one lock and looks in two maps; this
// one is in parts, and a session is found with one look.
//
// The client calls Flight for each question. The first who asks for a key is to send it to Redis and to have Update or Cancel called; others wait for that.
// Delete comes when Redis tells of changes, Close with the end of the connection. The client calls Update, Delete and Close in the order in which Redis has
// sent the answers and the news, so that what Update keeps is current, whichever question it answers.
type cacheStore struct {
	seed  maphash.Seed
	parts [cacheParts]cachePart
}

// cacheParts is how many locks there are.
const cacheParts = 16

type cachePart struct {
	mu     sync.Mutex
	known  map[string]*cachedValue
	asked  map[string]*question
	size   int
	limit  int
	closed bool
}

// cachedValue is an answer that is kept.
type cachedValue struct {
	answer rueidis.RedisMessage
	size   int
	until  time.Time
	used   bool // since the last look for something to drop
}

// perCached is about what one takes besides its key and its value.
const perCached = 200

// question is one that is under way.
type question struct {
	until  time.Time // how long the answer may be kept
	done   chan struct{}
	answer rueidis.RedisMessage
	err    error
}

func newCacheStore(o rueidis.CacheStoreOption) rueidis.CacheStore {
	c := &cacheStore{seed: maphash.MakeSeed()}
	for i := range c.parts {
		c.parts[i] = cachePart{known: map[string]*cachedValue{}, asked: map[string]*question{}, limit: o.CacheSizeEachConn / cacheParts}
	}
	return c
}

func (c *cacheStore) part(key string) *cachePart {
	return &c.parts[maphash.String(c.seed, key)%cacheParts]
}

// Flight implements rueidis.CacheStore.
func (c *cacheStore) Flight(key, _ string, ttl time.Duration, now time.Time) (rueidis.RedisMessage, rueidis.CacheEntry) {
	p := c.part(key)
	p.mu.Lock()
	defer p.mu.Unlock()
	if v := p.known[key]; v != nil {
		if now.Before(v.until) {
			v.used = true
			return v.answer, nil
		}
		p.drop(key)
	}
	if q := p.asked[key]; q != nil {
		return rueidis.RedisMessage{}, q
	}
	if !p.closed {
		p.asked[key] = &question{until: now.Add(ttl), done: make(chan struct{})}
	}
	return rueidis.RedisMessage{}, nil
}

// Update implements rueidis.CacheStore. That there is no session isn't kept.
func (c *cacheStore) Update(key, _ string, answer rueidis.RedisMessage) (until int64) {
	p := c.part(key)
	p.mu.Lock()
	defer p.mu.Unlock()
	q := p.asked[key]
	if q == nil {
		return 0
	}
	delete(p.asked, key)
	q.answer = answer
	close(q.done)
	if value, err := answer.ToString(); err == nil {
		p.keep(key, &cachedValue{answer: answer, size: len(key) + len(value) + perCached, until: q.until})
	}
	return q.until.UnixMilli()
}

// keep makes room by dropping what hasn't been used lately: a map begins anywhere each time.
func (p *cachePart) keep(key string, v *cachedValue) {
	p.drop(key)
	if v.size > p.limit {
		return
	}
	for p.size+v.size > p.limit {
		for other, o := range p.known {
			if o.used {
				o.used = false
				continue
			}
			if p.drop(other); p.size+v.size <= p.limit {
				break
			}
		}
	}
	p.known[key] = v
	p.size += v.size
}

func (p *cachePart) drop(key string) {
	if v := p.known[key]; v != nil {
		delete(p.known, key)
		p.size -= v.size
	}
}

// Cancel implements rueidis.CacheStore.
func (c *cacheStore) Cancel(key, _ string, err error) {
	p := c.part(key)
	p.mu.Lock()
	defer p.mu.Unlock()
	if q := p.asked[key]; q != nil {
		delete(p.asked, key)
		q.err = err
		close(q.done)
	}
}

// Delete implements rueidis.CacheStore. Without keys it is about all.
func (c *cacheStore) Delete(keys []rueidis.RedisMessage) {
	if keys == nil {
		for i := range c.parts {
			c.parts[i].forget()
		}
		return
	}
	for i := range keys {
		key, err := keys[i].ToString()
		if err != nil {
			continue
		}
		p := c.part(key)
		p.mu.Lock()
		p.drop(key)
		p.mu.Unlock()
	}
}

func (p *cachePart) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.known)
	p.size = 0
}

// Close implements rueidis.CacheStore.
func (c *cacheStore) Close(err error) {
	for i := range c.parts {
		c.parts[i].close(err)
	}
}

func (p *cachePart) close(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.known)
	p.size, p.closed = 0, true
	for key, q := range p.asked {
		delete(p.asked, key)
		q.err = err
		close(q.done)
	}
}

// Wait implements rueidis.CacheEntry.
func (q *question) Wait(ctx context.Context) (rueidis.RedisMessage, error) {
	select {
	case <-q.done:
		return q.answer, q.err
	case <-ctx.Done():
		return rueidis.RedisMessage{}, ctx.Err()
	}
}
