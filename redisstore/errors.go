package redisstore

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/rueidis"

	"github.com/sessionbridge/sessionbridge/store"
)

var (
	// ErrTimeout: Redis didn't answer within Options.Timeout. Whether a change was made is unknown.
	ErrTimeout = errors.New("redisstore: no answer in time")
	// ErrShards: the store was created with another number of shards than Options.Shards.
	ErrShards = errors.New("redisstore: another number of shards")
	// ErrServer: the server can't be used for sessions: it is too old, a replica, or drops keys when its memory is full.
	ErrServer = errors.New("redisstore: the server can't be used")
	// ErrReplicas: the change has been made, but not as many replicas as Options.WaitReplicas have it yet: a failover now would undo it.
	ErrReplicas = errors.New("redisstore: too few replicas have it")
	// ErrDamaged: what Redis has isn't what was stored. Something else writes to the keys of the namespace, or a later version of
	// this package does.
	ErrDamaged = errors.New("redisstore: damaged")
)

// advice says what to do about an error that Redis names with its first word.
func advice(err *rueidis.RedisError) string {
	name, _, _ := strings.Cut(err.Error(), " ")
	if strings.Contains(err.Error(), "user executing the script can't") { // as some versions say it
		name = "NOPERM"
	}
	switch name {
	case "NOAUTH":
		return "Redis asks for a password: put it into the URL, redis://user:password@host"
	case "WRONGPASS":
		return "Redis refuses the user name or the password"
	case "NOPERM":
		return "the Redis user's ACL doesn't allow it; docs/redis.md has the rule"
	case "READONLY":
		return "this is a replica, which can't be written: connect to the master, or through Sentinel or the cluster"
	case "OOM":
		return "the memory of Redis is full (maxmemory): raise the limit; destroying and sweeping sessions still works"
	case "LOADING":
		return "Redis is reading its data: try again in a while"
	case "MISCONF":
		return "Redis refuses changes, because it can't write its own files: look at its log and its disk"
	case "NOREPLICAS":
		return "Redis refuses changes, because it has too few replicas (min-replicas-to-write)"
	case "CLUSTERDOWN":
		return "the cluster doesn't serve all slots: a master is missing"
	case "TRYAGAIN":
		return "the cluster is moving the slot to another server: try again when it has"
	case "MASTERDOWN":
		return "the replica has lost its master"
	case "BUSY":
		return "a script of another program keeps Redis busy"
	}
	return ""
}

// noCache is the advice if Redis doesn't tell of changes.
const noCache = "it refuses client-side caching: that takes RESP3, and +client|tracking, +client|trackinginfo and +client|caching in the user's ACL; or set " +
	"Options.CacheBytes to -1"

// explain makes the error of an operation out of what the client says. ctx is the caller's.
func (e *engine) explain(ctx context.Context, doing string, err error) error {
	if err == nil {
		return nil
	}
	var answer *rueidis.RedisError
	switch {
	case errors.As(err, &answer):
		if what := advice(answer); what != "" {
			return fmt.Errorf("redisstore: %s: %s: %w", doing, what, err)
		}
	case errors.Is(err, rueidis.ErrNoCache):
		return fmt.Errorf("%w: %s: %s: %w", ErrServer, doing, noCache, err)
	case ctx.Err() != nil:
		return fmt.Errorf("redisstore: %s: %w", doing, context.Cause(ctx))
	case e.closed.Load():
		return store.ErrClosed
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return fmt.Errorf("%w: %s: Redis has had %v", ErrTimeout, doing, e.timeout)
	}
	return fmt.Errorf("redisstore: %s: %w", doing, err)
}

func damaged(doing string, err error) error {
	return fmt.Errorf("%w: %s: %w", ErrDamaged, doing, err)
}
