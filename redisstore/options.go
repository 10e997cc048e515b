package redisstore

import (
	"fmt"
	"strings"
	"time"
)

// Options are what Open and New may be told. A zero field, or nil Options, means the default.
type Options struct {
	// Namespace is what the names of all keys begin with, so that several stores can share a server. Default "sb"; without braces.
	Namespace string

	// Shards is over how many hash slots the sessions are spread: in a cluster, at least as many as it has masters. It is fixed when the
	// first process opens the store; another one later is an error. Default: what it was created with, and for a new one 1 on a server of
	// its own, 16 in a cluster. At most 1024.
	Shards int

	// Timeout is how long an operation may take, whatever the context allows; what takes several round trips has that long for each.
	// Default 3 s.
	Timeout time.Duration

	// WaitReplicas has the end of a session, a login, a rotated token and another user wait until so many replicas have it, for Timeout at most: ErrReplicas. It narrows what
	// a failover can bring back, and costs a round trip to the replicas. Default: no wait.
	WaitReplicas int

	// AllowEviction opens a store on a server that may drop keys when its memory is full (a maxmemory-policy other than noeviction).
	// It may drop an index, too: then ending all sessions of a user misses some. Default: Open refuses.
	AllowEviction bool

	// CacheBytes is how much memory each connection may take for what GetCached has read; a session with 300 bytes of data takes some 700 of it. Sessions of one shard are in
	// one connection's. Negative: no cache, GetCached is Get. Default 32 MiB, if the server allows it (CLIENT TRACKING, with RESP3), or else no cache; with a
	// size given Open fails instead. New leaves the size to the client's own options.
	CacheBytes int
}

const (
	defaultNamespace = "sb"
	defaultTimeout   = 3 * time.Second
	clusterShards    = 16
	maxShards        = 1024
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
		return out, fmt.Errorf("redisstore: Options.Namespace is %q; it can't have braces, which choose the slot in a cluster", out.Namespace)
	case out.Shards < 0 || out.Shards > maxShards:
		return out, fmt.Errorf("redisstore: Options.Shards is %d; it must be from 1 to %d, or 0 for the default", out.Shards, maxShards)
	case out.WaitReplicas < 0:
		return out, fmt.Errorf("redisstore: Options.WaitReplicas is %d; it can't be negative", out.WaitReplicas)
	case out.Timeout < 0:
		return out, fmt.Errorf("redisstore: Options.Timeout is %v; it can't be negative", out.Timeout)
	}
	return out, nil
}
