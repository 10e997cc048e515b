// Package cachestore keeps what one connection has read, for client-side caching.
//
// The cache store of rueidis keeps everything in one list under one lock and looks into two maps
// for each key; its adapter for own caches additionally remembers every key that was ever read
// until Redis invalidates it, which no memory limit covers. This store is partitioned, a hit is one
// map lookup without an allocation, and its memory is bounded. It is for the command GET only.
package cachestore

import (
	"context"
	"hash/maphash"
	"sync"
	"time"

	"github.com/redis/rueidis"
)

// store implements rueidis.CacheStore.
//
// The client calls Flight for each read. The first caller for a key sends the command to Redis, and
// the client then calls Update or Cancel; concurrent callers wait for that. Redis invalidates keys
// with Delete; Close is called when the connection ends. The client calls Update, Delete and Close
// in the order in which Redis has sent the replies and invalidations, so the value that Update
// stores is current, whichever command it replies to.
type store struct {
	seed       maphash.Seed
	partitions [partitions]partition
}

// partitions is the number of locks.
const partitions = 16

type partition struct {
	mu      sync.Mutex
	values  map[string]*value
	flights map[string]*flight
	size    int
	limit   int
	closed  bool
}

// value is a cached reply.
type value struct {
	reply   rueidis.RedisMessage
	size    int
	expires time.Time
	used    bool // since the last scan for a value to evict
}

// overhead is the approximate memory of a value in addition to its key and reply, in bytes.
const overhead = 200

// flight is a command whose reply is pending. It implements rueidis.CacheEntry.
type flight struct {
	expires time.Time // of the reply in the cache
	done    chan struct{}
	reply   rueidis.RedisMessage
	err     error
}

// New returns an empty store of at most o.CacheSizeEachConn bytes.
func New(o rueidis.CacheStoreOption) rueidis.CacheStore {
	s := &store{seed: maphash.MakeSeed()}
	for i := range s.partitions {
		s.partitions[i] = partition{
			values: map[string]*value{}, flights: map[string]*flight{}, limit: o.CacheSizeEachConn / partitions,
		}
	}
	return s
}

func (s *store) partition(key string) *partition {
	return &s.partitions[maphash.String(s.seed, key)%partitions]
}

// Flight implements rueidis.CacheStore.
func (s *store) Flight(key, _ string, ttl time.Duration, now time.Time) (rueidis.RedisMessage, rueidis.CacheEntry) {
	p := s.partition(key)
	p.mu.Lock()
	defer p.mu.Unlock()
	if v := p.values[key]; v != nil {
		if now.Before(v.expires) {
			v.used = true
			return v.reply, nil
		}
		p.remove(key)
	}
	if f := p.flights[key]; f != nil {
		return rueidis.RedisMessage{}, f
	}
	if !p.closed {
		p.flights[key] = &flight{expires: now.Add(ttl), done: make(chan struct{})}
	}
	return rueidis.RedisMessage{}, nil
}

// Update implements rueidis.CacheStore. It does not cache that a key doesn't exist.
func (s *store) Update(key, _ string, reply rueidis.RedisMessage) (pxat int64) {
	p := s.partition(key)
	p.mu.Lock()
	defer p.mu.Unlock()
	f := p.flights[key]
	if f == nil {
		return 0
	}
	delete(p.flights, key)
	f.reply = reply
	close(f.done)
	if text, err := reply.ToString(); err == nil {
		p.add(key, &value{reply: reply, size: len(key) + len(text) + overhead, expires: f.expires})
	}
	return f.expires.UnixMilli()
}

// add evicts values that have not been used lately to make room. The iteration over a map begins at
// a random element each time.
func (p *partition) add(key string, v *value) {
	p.remove(key)
	if v.size > p.limit {
		return
	}
	for p.size+v.size > p.limit {
		for other, o := range p.values {
			if o.used {
				o.used = false
				continue
			}
			if p.remove(other); p.size+v.size <= p.limit {
				break
			}
		}
	}
	p.values[key] = v
	p.size += v.size
}

func (p *partition) remove(key string) {
	if v := p.values[key]; v != nil {
		delete(p.values, key)
		p.size -= v.size
	}
}

// Cancel implements rueidis.CacheStore.
func (s *store) Cancel(key, _ string, err error) {
	p := s.partition(key)
	p.mu.Lock()
	defer p.mu.Unlock()
	if f := p.flights[key]; f != nil {
		delete(p.flights, key)
		f.err = err
		close(f.done)
	}
}

// Delete implements rueidis.CacheStore. No keys means all keys.
func (s *store) Delete(keys []rueidis.RedisMessage) {
	if keys == nil {
		for i := range s.partitions {
			s.partitions[i].clear()
		}
		return
	}
	for i := range keys {
		key, err := keys[i].ToString()
		if err != nil {
			continue
		}
		p := s.partition(key)
		p.mu.Lock()
		p.remove(key)
		p.mu.Unlock()
	}
}

func (p *partition) clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.values)
	p.size = 0
}

// Close implements rueidis.CacheStore.
func (s *store) Close(err error) {
	for i := range s.partitions {
		s.partitions[i].close(err)
	}
}

func (p *partition) close(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.values)
	p.size, p.closed = 0, true
	for key, f := range p.flights {
		delete(p.flights, key)
		f.err = err
		close(f.done)
	}
}

// Wait implements rueidis.CacheEntry.
func (f *flight) Wait(ctx context.Context) (rueidis.RedisMessage, error) {
	select {
	case <-f.done:
		return f.reply, f.err
	case <-ctx.Done():
		return rueidis.RedisMessage{}, ctx.Err()
	}
}
