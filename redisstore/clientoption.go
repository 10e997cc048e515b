package redisstore

import (
	"errors"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"github.com/sessionbridge/sessionbridge/redisstore/internal/cachestore"
)

// clientOption returns the options for the client of Open.
func clientOption(url string, o *Options) (rueidis.ClientOption, error) {
	option, err := rueidis.ParseURL(severalHosts(url))
	if err != nil { // which may quote parts of a password
		return option, errors.New("redisstore: invalid Redis URL; use redis://user:password@host:6379/0, rediss://…, " +
			"or unix:///path; special characters in a password must be percent-encoded")
	}
	option.Dialer.Timeout = o.Timeout
	option.ConnWriteTimeout = o.Timeout // also limits how long a connection may be silent while a reply is due
	option.DisableRetry = true          // an operation fails rather than waits; changes are never retried anyway
	option.DisableCache = option.DisableCache || option.AlwaysRESP2 || o.CacheBytes < 0
	if option.CacheSizeEachConn = o.CacheBytes; o.CacheBytes == 0 {
		option.CacheSizeEachConn = defaultCacheBytes
	}
	option.NewCacheStoreFn = cachestore.New
	option.MaxFlushDelay = flushDelay
	option.AlwaysPipelining = true // a cancelled operation returns at once, and its connection stays open
	option.ReadBufferEachConn, option.WriteBufferEachConn = bufferSize, bufferSize
	option.Sentinel.Dialer.Timeout = o.Timeout
	option.Sentinel.TopologyRefreshInterval = 5 * time.Second
	option.Sentinel.TLSConfig = option.TLSConfig
	if option.ClientName == "" {
		option.ClientName = "sessionbridge"
	}
	return option, nil
}

const (
	bufferSize = 128 << 10

	// flushDelay is how long commands wait for others to be sent together, unless none is pending:
	// a third of the CPU time of a busy process is the system calls. With 64 operations under way
	// they take a third less time each, with 2 or 4 about 15 µs more.
	flushDelay = 20 * time.Microsecond
)

// severalHosts converts a list of hosts, separated by commas, to one host and a parameter for each
// other, as rueidis expects them.
func severalHosts(url string) string {
	scheme, rest, ok := strings.Cut(url, "://")
	if !ok {
		return url
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	authority, tail := rest[:end], rest[end:]
	at := strings.LastIndexByte(authority, '@') + 1
	hosts := strings.Split(authority[at:], ",")
	if len(hosts) == 1 {
		return url
	}
	separator := "?"
	if strings.Contains(tail, "?") {
		separator = "&"
	}
	for _, host := range hosts[1:] {
		tail += separator + "addr=" + host
		separator = "&"
	}
	return scheme + "://" + authority[:at] + hosts[0] + tail
}
