package conn

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/redis/rueidis"

	"github.com/sessionbridge/sessionbridge/store"
)

// The sentinels that package redisstore exports under the same names.
var (
	ErrTimeout  = errors.New("redisstore: timeout")
	ErrServer   = errors.New("redisstore: unsuitable server")
	ErrReplicas = errors.New("redisstore: too few replicas")
	ErrDamaged  = errors.New("redisstore: damaged")
)

// advice returns how to fix an error that Redis identifies by its first word, or "".
func advice(err *rueidis.RedisError) string {
	name, _, _ := strings.Cut(err.Error(), " ")
	if strings.Contains(err.Error(), "user executing the script can't") { // in some versions
		name = "NOPERM"
	}
	switch name {
	case "NOAUTH":
		return "Redis requires a password: add it to the URL, redis://user:password@host"
	case "WRONGPASS":
		return "Redis rejects the user name or the password"
	case "NOPERM":
		return "the Redis user's ACL doesn't allow it; docs/redis.md has the required rule"
	case "READONLY":
		return "this is a replica, which is read-only: connect to the master, or through Sentinel or the cluster"
	case "OOM":
		return "the memory of Redis is full (maxmemory): raise the limit; destroying and sweeping sessions still works"
	case "LOADING":
		return "Redis is loading its data: try again later"
	case "MISCONF":
		return "Redis rejects changes because it can't write its own files: check its log and its disk"
	case "NOREPLICAS":
		return "Redis rejects changes because it has too few replicas (min-replicas-to-write)"
	case "CLUSTERDOWN":
		return "the cluster doesn't serve all slots: a master is missing"
	case "TRYAGAIN":
		return "the cluster is moving the slot to another server: try again later"
	case "MASTERDOWN":
		return "the replica has lost its master"
	case "BUSY":
		return "a script of another program is blocking Redis"
	}
	return ""
}

// Temporary reports whether the same operation may succeed later without a change of the
// configuration: Redis can't be reached, doesn't reply, or isn't ready.
func Temporary(err error) bool {
	var reply *rueidis.RedisError
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.As(err, &reply):
		name, _, _ := strings.Cut(reply.Error(), " ")
		return slices.Contains([]string{"LOADING", "CLUSTERDOWN", "TRYAGAIN", "MASTERDOWN", "BUSY", "NOREPLICAS"}, name)
	case errors.As(err, &certificate),
		errors.Is(err, ErrServer), errors.Is(err, ErrDamaged), errors.Is(err, store.ErrClosed):
		return false
	}
	return err != nil
}

// NoCache is the advice for a server that rejects client-side caching.
const NoCache = "the server rejects client-side caching, which requires RESP3 and, in the user's ACL, " +
	"+client|tracking, +client|trackinginfo and +client|caching; or set Options.CacheBytes to -1"

// Explain returns the error of an operation for an error of the client, nil for nil. ctx is the
// caller's.
func (c *Conn) Explain(ctx context.Context, doing string, err error) error {
	if err == nil {
		return nil
	}
	var reply *rueidis.RedisError
	switch {
	case errors.As(err, &reply):
		if fix := advice(reply); fix != "" {
			return fmt.Errorf("redisstore: %s: %s: %w", doing, fix, err)
		}
	case errors.Is(err, rueidis.ErrNoCache):
		return fmt.Errorf("%w: %s: %s: %w", ErrServer, doing, NoCache, err)
	case ctx.Err() != nil:
		return fmt.Errorf("redisstore: %s: %w", doing, context.Cause(ctx))
	case c.closed.Load():
		return store.ErrClosed
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return fmt.Errorf("%w: %s: no reply within %v", ErrTimeout, doing, c.Timeout)
	}
	return fmt.Errorf("redisstore: %s: %w", doing, err)
}

// Damaged returns an ErrDamaged for an operation that has found data it didn't write.
func Damaged(doing string, err error) error {
	return fmt.Errorf("%w: %s: %w", ErrDamaged, doing, err)
}
