package redisstore

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"
)

// Open connects to Redis and returns its store, which the caller closes. The URL is
//
//	redis://user:password@host:6379/0               a server, or any node of a cluster; rediss:// with TLS
//	redis://host1:6379,host2:6379,host3:6379        several nodes of a cluster, in case one is down
//	redis://host1:26379,host2:26379?master_set=name Sentinels, and what they call the master
//	unix:///run/redis/redis.sock                    a socket on this machine
//
// with what else rueidis.ParseURL knows. Special characters in a password have to be percent-encoded. The context is for
// connecting only.
//
// An error that matches ErrServer or ErrShards says what to change. No error contains the password.
func Open(ctx context.Context, url string, opts *Options) (*Store, error) {
	o, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	option, err := clientOption(url, &o)
	if err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, fmt.Errorf("redisstore: open: %w", context.Cause(ctx))
	}
	client, err := rueidis.NewClient(option)
	if errors.Is(err, rueidis.ErrNoCache) && o.CacheBytes == 0 {
		option.DisableCache = true
		client, err = rueidis.NewClient(option)
	}
	if err != nil {
		return nil, (&engine{timeout: o.Timeout}).explain(ctx, "connecting", err)
	}
	st, err := New(ctx, client, &o)
	if err != nil {
		client.Close()
		return nil, err
	}
	st.engine.ours = true
	return st, nil
}

// New returns the store in what the client is connected to. The client remains the caller's, who closes it after the store. It must not send reads to
// replicas, which lag behind. It must not be a dedicated one.
func New(ctx context.Context, client rueidis.Client, opts *Options) (*Store, error) {
	o, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	loaded, err := loadScripts()
	if err != nil {
		return nil, fmt.Errorf("redisstore: %w", err)
	}
	e := &engine{client: client, namespace: o.Namespace, timeout: o.Timeout, replicas: o.WaitReplicas, scripts: loaded, background: newBackground()}
	if err := e.checkServers(ctx, o.AllowEviction); err != nil {
		return nil, err
	}
	if e.shards, err = e.agree(ctx, o.Shards); err != nil {
		return nil, err
	}
	if o.CacheBytes >= 0 {
		if err := e.checkCache(ctx, o.CacheBytes > 0); err != nil {
			return nil, err
		}
	}
	return e.store(""), nil
}

func (e *engine) store(app string) *Store {
	return &Store{engine: e, app: app, prefixes: prefixes(e.namespace, app, e.shards)}
}

// clientOption is what the client of Open is made with.
func clientOption(url string, o *Options) (rueidis.ClientOption, error) {
	option, err := rueidis.ParseURL(severalHosts(url))
	if err != nil { // it may quote parts of a password
		return option, errors.New("redisstore: the URL isn't one of Redis: redis://user:password@host:6379/0, rediss://…, or unix:///path; " +
			"special characters in a password have to be percent-encoded")
	}
	option.Dialer.Timeout = o.Timeout
	option.ConnWriteTimeout = o.Timeout // how long a connection may be silent while an answer is due
	option.DisableRetry = true          // an operation fails rather than waits; changes are never retried anyway
	option.DisableCache = option.DisableCache || option.AlwaysRESP2 || o.CacheBytes < 0
	if option.CacheSizeEachConn = o.CacheBytes; o.CacheBytes == 0 {
		option.CacheSizeEachConn = defaultCacheBytes
	}
	option.NewCacheStoreFn = newCacheStore
	option.AlwaysPipelining = true // a cancelled operation returns at once, and breaks nobody's connection
	option.ReadBufferEachConn, option.WriteBufferEachConn = bufferSize, bufferSize
	option.Sentinel.Dialer.Timeout = o.Timeout
	option.Sentinel.TopologyRefreshInterval = 5 * time.Second
	option.Sentinel.TLSConfig = option.TLSConfig
	if option.ClientName == "" {
		option.ClientName = "sessionbridge"
	}
	return option, nil
}

const bufferSize = 128 << 10

// severalHosts turns hosts with commas between them into one and a parameter for each other, which is how rueidis wants them.
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
	joiner := "?"
	if strings.Contains(tail, "?") {
		joiner = "&"
	}
	for _, host := range hosts[1:] {
		tail += joiner + "addr=" + host
		joiner = "&"
	}
	return scheme + "://" + authority[:at] + hosts[0] + tail
}

// agree returns the number of shards: the one that the store was created with, or the wanted one for a new store.
func (e *engine) agree(ctx context.Context, want int) (int, error) {
	const doing = "reading the number of shards"
	create := want
	if create == 0 {
		create = 1
		if e.client.Mode() == rueidis.ClientModeCluster {
			create = clusterShards
		}
	}
	if err := e.ready(ctx, doing); err != nil {
		return 0, err
	}
	limited, cancel := e.limit(ctx)
	defer cancel()
	key, client := e.namespace+":meta", e.client
	// The first who sets the fields decides.
	results := client.DoMulti(limited,
		client.B().Hsetnx().Key(key).Field("format").Value(strconv.Itoa(valueFormat)).Build(),
		client.B().Hsetnx().Key(key).Field("shards").Value(strconv.Itoa(create)).Build(),
		client.B().Hmget().Key(key).Field("format", "shards").Build())
	for _, result := range results {
		if err := result.Error(); err != nil {
			return 0, e.explain(ctx, doing, err)
		}
	}
	fields, err := results[2].AsStrSlice()
	if err != nil || len(fields) != 2 {
		return 0, damaged(doing, errors.Join(err, errMeta))
	}
	if fields[0] != strconv.Itoa(valueFormat) {
		return 0, fmt.Errorf("%w: the namespace %q has the format %q; this version knows %d", ErrDamaged, e.namespace, fields[0], valueFormat)
	}
	shards, err := strconv.Atoi(fields[1])
	if err != nil || shards < 1 || shards > maxShards {
		return 0, damaged(doing, errMeta)
	}
	if want != 0 && shards != want {
		return 0, fmt.Errorf("%w: the namespace %q was created with %d, and Options.Shards is %d: leave it 0, or choose another namespace",
			ErrShards, e.namespace, shards, want)
	}
	return shards, nil
}

var errMeta = errors.New("the key meta isn't as it was written")
