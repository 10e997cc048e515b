package redisstore

import (
	"maps"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCheckServer(t *testing.T) {
	good := map[string]string{"redis_version": "7.0.15", "role": "master", "maxmemory": "0", "maxmemory_policy": "noeviction"}
	with := func(changes ...string) map[string]string {
		info := maps.Clone(good)
		for i := 0; i < len(changes); i += 2 {
			info[changes[i]] = changes[i+1]
		}
		return info
	}
	require.NoError(t, checkServer(good, false, false))
	require.NoError(t, checkServer(with("redis_version", "8.2.1"), false, false))
	require.NoError(t, checkServer(with("redis_version", "10.0.0"), false, false))
	require.NoError(t, checkServer(map[string]string{}, false, false), "a server that reports little, such as a managed service")
	require.ErrorContains(t, checkServer(with("redis_version", "6.2.14"), false, false), "install Redis 7 or later")
	require.ErrorContains(t, checkServer(with("role", "slave", "master_host", "h", "master_port", "1"), false, false), "its master, h:1")
	require.NoError(t, checkServer(with("role", "slave"), true, false), "a cluster has replicas")
	require.NoError(t, checkServer(with("maxmemory_policy", "allkeys-lru"), false, false), "the memory is unlimited")
	require.ErrorContains(t, checkServer(with("maxmemory_policy", "allkeys-lru", "maxmemory", "1"), false, false), "noeviction")
	require.NoError(t, checkServer(with("maxmemory_policy", "allkeys-lru", "maxmemory", "1"), false, true))
}
