package redisstore

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/rueidis"
)

// minVersion is the first major version of Redis that supports what the scripts need: flags, and
// the condition GT for a time to live.
const minVersion = 7

// checkServers returns an error if one of the servers is unsuitable. It ignores servers that are
// unreachable, unless all are.
func (b *backend) checkServers(ctx context.Context, allowEviction bool) error {
	const doing = "reading the version of the server"
	if err := b.Ready(ctx, doing); err != nil {
		return err
	}
	servers := b.Client.Nodes()
	failures := make([]error, 0, len(servers))
	limited, cancel := b.Limit(ctx)
	defer cancel()
	for addr, server := range servers {
		info, err := server.Do(limited, server.B().Info().Build()).ToString()
		if err != nil {
			failures = append(failures, b.Explain(ctx, doing, err))
			continue
		}
		cluster := b.Client.Mode() == rueidis.ClientModeCluster
		if err := checkServer(parseInfo(info), cluster, allowEviction); err != nil {
			return fmt.Errorf("%w: %s: %w", ErrServer, addr, err)
		}
	}
	if len(failures) == len(servers) && len(failures) > 0 {
		return failures[0]
	}
	return nil
}

func checkServer(info map[string]string, cluster, allowEviction bool) error {
	version, policy := info["redis_version"], info["maxmemory_policy"]
	major, _, _ := strings.Cut(version, ".") // Valkey reports the version of Redis that it is compatible with
	if n, err := strconv.Atoi(major); err == nil && n < minVersion {
		return fmt.Errorf("it is Redis %s; install Redis 7 or later, or Valkey", version)
	}
	if info["role"] == "slave" && !cluster {
		return fmt.Errorf("it is a replica, which is read-only; connect to its master, %s:%s, or through Sentinel",
			info["master_host"], info["master_port"])
	}
	if !allowEviction && info["maxmemory"] != "0" && !slices.Contains([]string{"", "noeviction"}, policy) {
		return fmt.Errorf("its maxmemory-policy is %s: when its memory is full it would evict sessions, or parts of "+
			"indexes, so that ending all sessions of a user would miss some; set noeviction, or Options.AllowEviction", policy)
	}
	return nil
}

// parseInfo returns the fields of a reply to the command INFO.
func parseInfo(text string) map[string]string {
	fields := map[string]string{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			fields[name] = value
		}
	}
	return fields
}
