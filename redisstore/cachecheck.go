package redisstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/redis/rueidis"
)

// checkCache finds out whether what the client caches it is told the changes of. A client of the caller's may have been made without a cache, or so that it isn't
// told; and with an ACL that allows CLIENT TRACKING but not CLIENT CACHING it would cache without being told. required: a refusal is an error.
func (e *engine) checkCache(ctx context.Context, required bool) error {
	const doing = "asking for client-side caching"
	if err := e.ready(ctx, doing); err != nil {
		return err
	}
	limited, cancel := e.limit(ctx)
	defer cancel()
	asked := 0
	for _, node := range e.client.Nodes() {
		info, err := node.Do(limited, node.B().ClientTrackinginfo().Build()).AsMap()
		var tracking tracking
		if err == nil {
			if tracking, err = trackingOf(info); err == nil && slices.Contains(tracking.flags, "optin") {
				err = node.Do(limited, node.B().ClientCaching().Yes().Build()).Error()
			}
		}
		var refusal *rueidis.RedisError
		switch {
		case err == nil && !tracking.tells(e.namespace+":"):
			return nil
		case err == nil:
			asked++
		case !errors.As(err, &refusal):
			continue // it can't be asked now: checkServers has found one that can
		case required:
			return fmt.Errorf("%w: %s: %w", ErrServer, noCache, err)
		default:
			return nil
		}
	}
	e.cached = asked > 0
	return nil
}

// tracking is what a server tells the client of.
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

// tells reports whether the connection itself learns of every change of keys with that prefix that it has read, its own among them.
func (t *tracking) tells(keys string) bool {
	if !slices.Contains(t.flags, "on") || slices.Contains(t.flags, "noloop") || t.redirect > 0 {
		return false
	}
	return !slices.Contains(t.flags, "bcast") || slices.ContainsFunc(t.prefixes, func(p string) bool { return strings.HasPrefix(keys, p) })
}
