package redisstore

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/rueidis"
)

// oldest is the first version of Redis that has what the scripts need: flags, and the condition GT for a time to live.
const oldest = 7

// checkServers returns an error if one of the servers can't be used. One that can't be asked is left out, but for all of them.
func (e *engine) checkServers(ctx context.Context, allowEviction bool) error {
	const doing = "asking for the version of the server"
	if err := e.ready(ctx, doing); err != nil {
		return err
	}
	nodes := e.client.Nodes()
	failures := make([]error, 0, len(nodes))
	limited, cancel := e.limit(ctx)
	defer cancel()
	for addr, node := range nodes {
		info, err := node.Do(limited, node.B().Info().Build()).ToString()
		if err != nil {
			failures = append(failures, e.explain(ctx, doing, err))
			continue
		}
		if err := checkServer(parseInfo(info), e.client.Mode() == rueidis.ClientModeCluster, allowEviction); err != nil {
			return fmt.Errorf("%w: %s: %w", ErrServer, addr, err)
		}
	}
	if len(failures) == len(nodes) && len(failures) > 0 {
		return failures[0]
	}
	return nil
}

func checkServer(info map[string]string, cluster, allowEviction bool) error {
	major, _, _ := strings.Cut(info["redis_version"], ".") // Valkey gives the version of Redis that it stands for
	if version, err := strconv.Atoi(major); err == nil && version < oldest {
		return fmt.Errorf("it is Redis %s; install Redis 7 or later, or Valkey", info["redis_version"])
	}
	if info["role"] == "slave" && !cluster {
		return fmt.Errorf("it is a replica, which can't be written; connect to its master, %s:%s, or through Sentinel", info["master_host"], info["master_port"])
	}
	policy := info["maxmemory_policy"]
	if !allowEviction && info["maxmemory"] != "0" && !slices.Contains([]string{"", "noeviction"}, policy) {
		return fmt.Errorf("its maxmemory-policy is %s: when its memory is full it would drop sessions, or indexes without which sessions "+
			"aren't found when they are to end; set noeviction, or Options.AllowEviction", policy)
	}
	return nil
}

// parseInfo returns the fields of what the command INFO answers.
func parseInfo(text string) map[string]string {
	fields := map[string]string{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			fields[name] = value
		}
	}
	return fields
}
