package redisstore_test

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/redistest"
	"github.com/sessionbridge/sessionbridge/redisstore"
	"github.com/sessionbridge/sessionbridge/store"
)

// site is a store on one or more servers.
type site struct {
	*testing.T
	servers   []*redistest.Server
	url       string
	namespace string // "" means the default, "sb"
	shards    int
	app       string
	timeout   time.Duration // Options.Timeout
}

// onEverySite runs the cases on a standalone server, as an App, with 16 shards and in a cluster, in
// parallel: each has a namespace of its own.
func onEverySite(t *testing.T, cases map[string]func(*site)) {
	t.Helper()
	single, cluster := redistest.Start(t), redistest.StartCluster(t, 3)
	var namespaces atomic.Int32
	for name, s := range map[string]site{
		"standalone": {servers: []*redistest.Server{single}, url: single.URL(), shards: 1},
		"app":        {servers: []*redistest.Server{single}, url: single.URL(), shards: 1, app: "shop"},
		"shards":     {servers: []*redistest.Server{single}, url: single.URL(), shards: 16},
		"cluster":    {servers: cluster.Servers, url: cluster.URL(), shards: 16},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for says, do := range cases {
				t.Run(says, func(t *testing.T) {
					t.Parallel()
					s := s
					s.T = t
					s.namespace = fmt.Sprint("sb:", namespaces.Add(1))
					do(&s)
				})
			}
		})
	}
}

// prefix returns the key prefix of a shard.
func (s *site) prefix(shard int) string {
	if s.app != "" {
		return fmt.Sprintf("%s:{%d}/%s:", s.space(), shard, s.app)
	}
	return fmt.Sprintf("%s:{%d}:", s.space(), shard)
}

// space returns the namespace.
func (s *site) space() string { return cmp.Or(s.namespace, "sb") }

// keysOf returns all keys that have one of these letters after the prefix of a shard.
func (s *site) keysOf(letters string) (names []string) {
	s.Helper()
	for _, server := range s.servers {
		for _, key := range matching(s, server, s.space()+":{*") {
			at := strings.LastIndex(key[:min(len(key), len(s.prefix(10)))], ":") + 1
			if strings.ContainsAny(key[at:at+1], letters) {
				names = append(names, key)
			}
		}
	}
	return names
}

// empty deletes all keys of the namespace, on each server atomically.
func (s *site) empty() {
	s.Helper()
	const script = "for _, key in ipairs(redis.call('KEYS', ARGV[1])) do redis.call('DEL', key) end return 1"
	for _, server := range s.servers {
		server.Do("EVAL", script, "0", s.space()+":*")
	}
}

// peer is a node that records the changes that it is notified of.
type peer struct {
	store.Node
	t  *testing.T
	mu sync.Mutex

	changes []store.Change
	arrived chan struct{}
	hanging chan struct{} // the callback returns when it is closed
	stalled chan struct{}
}

// node returns a node with a store of its own, as of another process. It leaves at the end of the
// test.
func (s *site) node() *peer {
	s.Helper()
	st := store.Store(open(s, s.url, &redisstore.Options{
		Namespace: s.namespace, Shards: s.shards, Timeout: s.timeout,
	}))
	if s.app != "" {
		st = st.(store.Namespacer).App(s.app)
	}
	p := watch(s.T, st.(store.Watcher))
	s.Cleanup(func() { _ = p.Leave(context.WithoutCancel(s.Context())) })
	return p
}

// watch returns a node that has received its own message.
func watch(t *testing.T, st store.Watcher) *peer {
	t.Helper()
	p := begin(t, st)
	require.Eventually(t, func() bool { return !p.Contact().Heard.IsZero() }, patience, tick)
	return p
}

func begin(t *testing.T, st store.Watcher) *peer {
	p := &peer{t: t, arrived: make(chan struct{}, 1), stalled: make(chan struct{}, 1)}
	p.Node = st.Watch(func(c store.Change) {
		p.mu.Lock()
		hanging := p.hanging
		p.mu.Unlock()
		if hanging != nil {
			select {
			case p.stalled <- struct{}{}:
			default:
			}
			<-hanging
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		p.changes = append(p.changes, c)
		select {
		case p.arrived <- struct{}{}:
		default:
		}
	})
	return p
}

func (p *peer) name() string { return redisstore.NameOf(p.Node) }

// stall blocks the callback with the next change until resume.
func (p *peer) stall() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hanging = make(chan struct{})
}

func (p *peer) resume() {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.hanging)
	p.hanging = nil
}

// told returns the changes since the last call.
func (p *peer) told() (changes []store.Change) {
	p.mu.Lock()
	defer p.mu.Unlock()
	changes, p.changes = p.changes, nil
	return changes
}

// expect waits for the next changes, which must be exactly these.
func (p *peer) expect(want ...store.Change) {
	p.t.Helper()
	var got []store.Change
	deadline := time.After(patience)
	for len(got) < len(want) {
		select {
		case <-p.arrived:
			got = append(got, p.told()...)
		case <-deadline:
			require.Equal(p.t, want, got)
		}
	}
	require.Equal(p.t, want, got)
}

// expectNothing fails if a change is reported before one that it causes itself, in every shard.
func (p *peer) expectNothing(other *peer, shards int) {
	p.t.Helper()
	for _, marker := range markers(p.t, shards) {
		require.NoError(p.t, p.Hold(p.t.Context(), marker, ""))
		rec := newRecord(func(rec *store.Record) { rec.ID = marker })
		_, err := other.Set(p.t.Context(), rec)
		require.NoError(p.t, err)
		p.expect(store.Change{Kind: store.ChangeAccess, ID: marker})
		_, err = other.Destroy(p.t.Context(), marker)
		require.NoError(p.t, err)
		p.expect(store.Change{Kind: store.ChangeEnded, ID: marker})
	}
}

// markers returns session IDs, at least one in each shard.
func markers(t *testing.T, shards int) (ids []string) {
	t.Helper()
	n := 1
	if shards > 1 {
		n = 6 * shards // enough to have one of each almost certainly
	}
	for i := range n {
		ids = append(ids, sample(1_000_000+i, time.Now()).ID)
	}
	return ids
}

// set stores the record through the node, and returns it with the new revision.
func (p *peer) set(rec store.Record) store.Record {
	p.t.Helper()
	revision, err := p.Set(p.t.Context(), rec)
	require.NoError(p.t, err)
	rec.Revision = revision
	return rec
}

func (p *peer) hold(sessionID, clientID string) {
	p.t.Helper()
	require.NoError(p.t, p.Hold(p.t.Context(), sessionID, clientID))
}

func (p *peer) end(id, reason string) {
	p.t.Helper()
	was, err := p.End(p.t.Context(), id, reason, 0)
	require.NoError(p.t, err)
	require.True(p.t, was)
}
