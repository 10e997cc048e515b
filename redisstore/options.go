package redisstore

import (
	"fmt"
	"strings"
	"time"
)

// Options configures Open and New. A zero field, or nil Options, means the default.
type Options struct {
	// Namespace is the prefix of all keys, so that several stores can share a server. It must not
	// contain braces. Default "sb".
	Namespace string

	// Shards is the number of hash slots that the sessions are distributed over: in a cluster, at
	// least the number of masters. It is fixed when the first process opens the store; a different
	// number later is an error. Default: the number that the store was created with, and for a new
	// store 1, or 16 in a cluster. At most 1024.
	Shards int

	// Timeout limits an operation, regardless of the context. An operation of several round trips
	// has that long for each. Default 3 s.
	Timeout time.Duration

	// WaitReplicas makes the end of a session, a login, a new token and a change of user wait until
	// that many replicas have it. After Timeout they return ErrReplicas. It reduces what a failover
	// can undo, and costs a round trip to the replicas. Default: no wait.
	WaitReplicas int

	// AllowEviction accepts a server that may evict keys when its memory is full (a
	// maxmemory-policy other than noeviction). It may evict a part of an index, so that ending all
	// sessions of a user misses some. Default: Open returns ErrServer.
	AllowEviction bool

	// CacheBytes is the memory limit of each connection for sessions that GetCached has read; a
	// session with 300 bytes of data takes about 700. The sessions of a shard are cached by one
	// connection. Negative: no cache, GetCached is Get. Default 32 MiB if the server supports it
	// (CLIENT TRACKING, with RESP3), else no cache; with a positive size Open returns an error
	// instead. New uses the size in the client's own options.
	CacheBytes int
}

const (
	defaultNamespace = "sb"
	defaultTimeout   = 3 * time.Second
	clusterShards    = 16
	maxShards        = 1024

	defaultCacheBytes = 32 << 20 // about 40,000 sessions
)

func (o *Options) withDefaults() (Options, error) {
	var out Options
	if o != nil {
		out = *o
	}
	if out.Namespace == "" {
		out.Namespace = defaultNamespace
	}
	if out.Timeout == 0 {
		out.Timeout = defaultTimeout
	}
	switch {
	case strings.ContainsAny(out.Namespace, "{}"):
		return out, fmt.Errorf("redisstore: Options.Namespace is %q; it must not contain braces, "+
			"which select the slot in a cluster", out.Namespace)
	case out.Shards < 0 || out.Shards > maxShards:
		return out, fmt.Errorf("redisstore: Options.Shards is %d; it must be from 1 to %d, or 0 for the default",
			out.Shards, maxShards)
	case out.WaitReplicas < 0:
		return out, fmt.Errorf("redisstore: Options.WaitReplicas is %d; it must not be negative", out.WaitReplicas)
	case out.Timeout < 0:
		return out, fmt.Errorf("redisstore: Options.Timeout is %v; it must not be negative", out.Timeout)
	}
	return out, nil
}
