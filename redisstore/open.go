package redisstore

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/rueidis"

	"github.com/sessionbridge/sessionbridge/internal/background"
	"github.com/sessionbridge/sessionbridge/redisstore/internal/codec"
	"github.com/sessionbridge/sessionbridge/redisstore/internal/conn"
	"github.com/sessionbridge/sessionbridge/redisstore/internal/scripts"
)

// Open connects to Redis and returns its store, which the caller closes. The URL is one of
//
//	redis://user:password@host:6379/0               a server, or any node of a cluster; rediss:// with TLS
//	redis://host1:6379,host2:6379,host3:6379        several nodes of a cluster, in case one is down
//	redis://host1:26379,host2:26379?master_set=name Sentinels, and their name for the master
//	unix:///run/redis/redis.sock                    a Unix domain socket
//
// with the other parameters of rueidis.ParseURL. Special characters in a password must be
// percent-encoded.
//
// Open tries again while Redis is unreachable or still loading its data, until the context ends, or
// for 10 s if the context has no deadline. An attempt that is under way then may take
// Options.Timeout longer. The error is that of the last attempt, and the cause of the context's
// end. The context is for opening only.
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
	if _, limited := ctx.Deadline(); !limited {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, openPatience, errNoDeadline)
		defer cancel()
	}
	pause := time.NewTicker(openPause)
	defer pause.Stop()
	var last error
	for {
		st, err := connect(ctx, option, &o)
		if err == nil || errors.Is(err, ErrShards) || !conn.Temporary(err) {
			return st, err
		}
		if last == nil || !errors.Is(err, context.Cause(ctx)) {
			last = err
		}
		select {
		case <-ctx.Done():
			if !errors.Is(last, context.Cause(ctx)) {
				last = fmt.Errorf("%w (%w)", last, context.Cause(ctx))
			}
			return nil, last
		case <-pause.C:
		}
	}
}

const (
	openPatience = 10 * time.Second       // of Open, with a context without a deadline
	openPause    = 250 * time.Millisecond // between attempts
)

var errNoDeadline = fmt.Errorf("gave up after %v, as the context of Open has no deadline", openPatience)

// connect is one attempt of Open.
func connect(ctx context.Context, option rueidis.ClientOption, o *Options) (*Store, error) {
	client, err := rueidis.NewClient(option)
	if errors.Is(err, rueidis.ErrNoCache) && o.CacheBytes == 0 {
		option.DisableCache = true
		client, err = rueidis.NewClient(option)
	}
	if err != nil {
		ctx = context.WithoutCancel(ctx) // the client doesn't know it
		return nil, (&conn.Conn{Timeout: o.Timeout}).Explain(ctx, "connecting", err)
	}
	st, err := New(ctx, client, o)
	if err != nil {
		client.Close()
		return nil, err
	}
	st.backend.ownsClient = true
	return st, nil
}

// New returns the store in the Redis that the client is connected to. The caller closes the client,
// after the store. The client must not send reads to replicas, which lag behind, and must not be a
// dedicated one.
func New(ctx context.Context, client rueidis.Client, opts *Options) (*Store, error) {
	o, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	b := &backend{
		Conn:      &conn.Conn{Client: client, Timeout: o.Timeout, Replicas: o.WaitReplicas},
		namespace: o.Namespace, background: background.New(),
	}
	if b.scripts, err = scripts.Load(); err != nil {
		return nil, fmt.Errorf("redisstore: %w", err)
	}
	if err := b.checkServers(ctx, o.AllowEviction); err != nil {
		return nil, err
	}
	if b.shards, err = b.agree(ctx, o.Shards); err != nil {
		return nil, err
	}
	if o.CacheBytes >= 0 {
		if err := b.checkCache(ctx, o.CacheBytes > 0); err != nil {
			return nil, err
		}
	}
	return b.store(""), nil
}

// agree returns the number of shards that the store was created with. A new store gets the wanted
// number, or the default for 0.
func (b *backend) agree(ctx context.Context, want int) (int, error) {
	const doing = "reading the number of shards"
	create := want
	if create == 0 {
		create = 1
		if b.Client.Mode() == rueidis.ClientModeCluster {
			create = clusterShards
		}
	}
	if err := b.Ready(ctx, doing); err != nil {
		return 0, err
	}
	limited, cancel := b.Limit(ctx)
	defer cancel()
	key, client := b.namespace+":meta", b.Client
	results := client.DoMulti(limited, // the first process that sets the fields decides
		client.B().Hsetnx().Key(key).Field("format").Value(strconv.Itoa(codec.Format)).Build(),
		client.B().Hsetnx().Key(key).Field("shards").Value(strconv.Itoa(create)).Build(),
		client.B().Hmget().Key(key).Field("format", "shards").Build())
	for _, result := range results {
		if err := result.Error(); err != nil {
			return 0, b.Explain(ctx, doing, err)
		}
	}
	fields, err := results[2].AsStrSlice()
	if err != nil || len(fields) != 2 {
		return 0, conn.Damaged(doing, errors.Join(err, errMeta))
	}
	if fields[0] != strconv.Itoa(codec.Format) {
		return 0, fmt.Errorf("%w: the namespace %q has the format %q; this version supports %d",
			ErrDamaged, b.namespace, fields[0], codec.Format)
	}
	shards, err := strconv.Atoi(fields[1])
	if err != nil || shards < 1 || shards > maxShards {
		return 0, conn.Damaged(doing, errMeta)
	}
	if want != 0 && shards != want {
		return 0, fmt.Errorf("%w: the namespace %q was created with %d, and Options.Shards is %d: "+
			"leave it 0, or choose another namespace", ErrShards, b.namespace, shards, want)
	}
	return shards, nil
}

var errMeta = errors.New("the key meta is invalid")
