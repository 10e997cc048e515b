package redisstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/redis/rueidis"

	"github.com/sessionbridge/sessionbridge/redisstore/internal/conn"
)

// checkCache sets cached if the client is notified of changes to what it caches. A client that was
// passed to New may have no cache, or may not be notified; and if the ACL allows CLIENT TRACKING
// but not CLIENT CACHING, it would cache without notifications. required makes a rejection by the
// server an error.
func (b *backend) checkCache(ctx context.Context, required bool) error {
	const doing = "requesting client-side caching"
	if err := b.Ready(ctx, doing); err != nil {
		return err
	}
	limited, cancel := b.Limit(ctx)
	defer cancel()
	servers := 0
	for _, server := range b.Client.Nodes() {
		info, err := server.Do(limited, server.B().ClientTrackinginfo().Build()).AsMap()
		var tracking tracking
		if err == nil {
			if tracking, err = trackingOf(info); err == nil && slices.Contains(tracking.flags, "optin") {
				err = server.Do(limited, server.B().ClientCaching().Yes().Build()).Error()
			}
		}
		var rejection *rueidis.RedisError
		switch {
		case err == nil && !tracking.covers(b.namespace+":"):
			return nil
		case err == nil:
			servers++
		case !errors.As(err, &rejection):
			continue // unreachable now: checkServers has found another one
		case required:
			return fmt.Errorf("%w: %s: %w", ErrServer, conn.NoCache, err)
		default:
			return nil
		}
	}
	b.cached = servers > 0
	return nil
}

// tracking is what a server notifies a connection of.
type tracking struct {
	flags, prefixes []string
	redirect        int64
}

func trackingOf(info map[string]rueidis.RedisMessage) (t tracking, err error) {
	for name, to := range map[string]*[]string{"flags": &t.flags, "prefixes": &t.prefixes} {
		message := info[name]
		if *to, err = message.AsStrSlice(); err != nil {
			return t, err
		}
	}
	redirect := info["redirect"]
	t.redirect, err = redirect.AsInt64()
	return t, err
}

// covers reports whether the connection itself is notified of every change, including its own, to
// keys with that prefix that it has read.
func (t *tracking) covers(prefix string) bool {
	if !slices.Contains(t.flags, "on") || slices.Contains(t.flags, "noloop") || t.redirect > 0 {
		return false
	}
	return !slices.Contains(t.flags, "bcast") ||
		slices.ContainsFunc(t.prefixes, func(p string) bool { return strings.HasPrefix(prefix, p) })
}
