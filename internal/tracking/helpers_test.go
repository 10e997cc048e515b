package tracking_test

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/clientmap"
	"github.com/sessionbridge/sessionbridge/internal/clock"
	"github.com/sessionbridge/sessionbridge/internal/cluster"
	"github.com/sessionbridge/sessionbridge/internal/ends"
	"github.com/sessionbridge/sessionbridge/internal/errorcodes"
	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/internal/registry"
	"github.com/sessionbridge/sessionbridge/internal/reporting"
	"github.com/sessionbridge/sessionbridge/internal/testkit/testhub"
	"github.com/sessionbridge/sessionbridge/internal/tracking"
	"github.com/sessionbridge/sessionbridge/internal/workers"
	"github.com/sessionbridge/sessionbridge/store"
)

// conn is a connection. What happens to it is in its process' log.
type conn struct {
	entry registry.Entry
	ctx   context.Context
	end   context.CancelFunc
	lost  bool
}

// process is a Tracker with all that it uses, on a store that several processes share.
type process struct {
	*tracking.Tracker[*conn]
	t       *testing.T
	gateway *gateway.Gateway
	clients *clientmap.Map
	links   *registry.Registry[*conn]
	ends    *ends.Log
	node    *cluster.Node

	mu     sync.Mutex
	stored []tracking.Stored
	ended  []string         // reasons; "" for ends by this process
	closed []registry.Close // by Close
	later  []registry.Close // by Postpone
	failed []string         // what was being done
}

func newProcess(t *testing.T, hub *testhub.Hub, change func(*tracking.Config[*conn])) *process {
	t.Helper()
	p := &process{t: t, ends: ends.New(time.Hour, 100)}
	note := func(fn func()) { p.mu.Lock(); defer p.mu.Unlock(); fn() }
	work, ticks := workers.New(func(any) {}), clock.New()
	report := reporting.New(reporting.Config{
		Logger: slog.New(slog.DiscardHandler), Go: work.Go, Patience: time.Second,
		Emit: func(f reporting.Failure) { note(func() { p.failed = append(p.failed, f.Doing) }) },
	})
	p.clients = clientmap.New(0, func(id string) bool { return p.links.HasSession(id) })
	p.node = cluster.Join(hub, cluster.Config{
		StoreTimeout: time.Second, Workers: work, Clock: ticks,
		Changed:    func(ch store.Change) { p.ChangedElsewhere(ch) },
		Asked:      func(*cluster.Question) {},
		Subscribed: func(topic cluster.Topic) { p.Subscribed(topic) },
		Resync:     func(superseded func() bool) { p.Resync(superseded) },
		Suspect:    func(since time.Time) { p.links.SuspectAll(since) },
		GiveUp:     func() { p.GiveUp() },
		Used:       p.clients.ReadsOfClient,
		Failed:     report.StoreFailed,
	})
	p.gateway = gateway.New(p.node.Store(), gateway.Config{
		TouchInterval: time.Minute, MaxValueBytes: 1000, StoreTimeout: time.Second,
		Committed: func(c gateway.Commit) { p.Committed(&c, func() bool { return false }) },
		Ended: func(e gateway.End) {
			note(func() { p.ended = append(p.ended, "") })
			p.clients.Detach(e.ID)
			p.links.PartSession(e.ID, registry.Close{})
			p.node.Announce(e.ClientID, e.ID)
		},
		Reason:  func(any) string { return "logout" },
		Watched: func() bool { return true },
		Doubted: func(id string) { p.Doubt(id) },
		Failed:  report.StoreFailed,
	})
	p.links = registry.New(registry.Config[*conn]{
		Entry: func(c *conn) *registry.Entry { return &c.entry }, Ended: func(c *conn) bool { return c.ctx.Err() != nil },
		Context: func(c *conn) context.Context { return c.ctx }, Watch: func(*conn) bool { return false },
		Yield: func(*conn) {}, Clock: ticks, Limits: registry.Limits{PerSession: 2},
		Look:      func(id string) { p.RecheckSoon(id) },
		Hold:      func(id string) { p.node.Retain(cluster.Topic{SessionID: id}) },
		Drop:      func(id string) { p.node.Release(cluster.Topic{SessionID: id}) },
		Reconnect: tracking.Reconnect, TooMany: tracking.TooMany,
	})
	cfg := tracking.Config[*conn]{
		Gateway: p.gateway, Clients: p.clients, Links: p.links, Node: p.node, Ends: p.ends, Report: report, Work: work,
		Background: work.Pool(8), RemoteEnds: work.Pool(8),
		Watched: func() bool { return true },
		Stored:  func(s tracking.Stored) { note(func() { p.stored = append(p.stored, s) }) },
		Ended: func(e gateway.End, reason string) {
			note(func() { p.ended = append(p.ended, reason) })
			p.clients.Detach(e.ID)
			p.links.PartSession(e.ID, registry.Close{})
		},
		Tag:    func(*conn) any { return p },
		Reason: func(reported string) string { return "<" + reported + ">" },
		CloseCode: func(reason string) int {
			codes := map[string]int{"<" + store.ReasonSwept + ">": errorcodes.Expired, "<evicted>": errorcodes.Evicted}
			return cmp.Or(codes[reason], errorcodes.Destroyed)
		},
		Limits: registry.Limits{PerSession: 2},
		Entry:  func(c *conn) *registry.Entry { return &c.entry },
		Close:  func(_ *conn, c registry.Close) { note(func() { p.closed = append(p.closed, c) }) },
		Postpone: func(_ *conn, c registry.Close, _ bool, _ time.Duration) {
			note(func() { p.later = append(p.later, c) })
		},
		Lost:    func(c *conn) { c.lost = true },
		Abandon: func(c *conn, _ error) { p.links.Remove(c); p.links.Free(c); c.end() },
	}
	if change != nil {
		change(&cfg)
	}
	p.Tracker = tracking.New(cfg)
	p.node.Start()
	t.Cleanup(func() {
		work.Stop()
		ctx := context.WithoutCancel(t.Context())
		require.NoError(t, p.node.Leave(ctx))
		require.NoError(t, work.Wait(ctx))
		ticks.Close()
	})
	return p
}

// create stores a new session of the client.
func (p *process) create(id, clientID string) {
	p.t.Helper()
	d, err := gateway.NewDraft(store.Record{
		ID: id, ClientID: clientID, TokenGeneration: 1, Created: gateway.Now(), Idle: time.Hour,
	})
	require.NoError(p.t, err)
	d.Set("n", 1)
	require.NoError(p.t, p.gateway.Commit(p.t.Context(), d, nil))
	synctest.Wait()
}

// login logs the user in to the session.
func (p *process) login(id, userID string) {
	p.t.Helper()
	rec := p.load(id)
	d, err := gateway.NewDraft(rec)
	require.NoError(p.t, err)
	d.ReplaceToken(store.TokenHash{1}, rec.TokenGeneration, &gateway.Login{UserID: userID})
	require.NoError(p.t, p.gateway.Commit(p.t.Context(), d, nil))
	synctest.Wait()
}

func (p *process) destroy(id, clientID string) {
	p.t.Helper()
	was, err := p.gateway.Destroy(p.t.Context(), id, clientID, p)
	require.NoError(p.t, err)
	require.True(p.t, was)
	synctest.Wait()
}

func (p *process) load(id string) store.Record {
	p.t.Helper()
	rec, err := p.gateway.Load(p.t.Context(), id)
	require.NoError(p.t, err)
	return rec
}

// register registers a connection of the session with the token that it has now; "" is none.
func (p *process) register(id, sessionID, clientID string, h *tracking.Handshake) (*conn, error) {
	var m tracking.Member
	if sessionID != "" {
		m = tracking.Member{SessionID: sessionID, Proved: p.load(sessionID).TokenGeneration}
	}
	return p.registerMember(id, clientID, m, h)
}

func (p *process) registerMember(id, clientID string, m tracking.Member, h *tracking.Handshake) (*conn, error) {
	c := &conn{entry: registry.Entry{ID: id, ClientID: clientID}}
	c.ctx, c.end = context.WithCancel(p.t.Context())
	err := p.Register(p.t.Context(), c, m, h, func() {})
	synctest.Wait()
	return c, err
}

// sessionOf returns the session of a connection.
func (p *process) sessionOf(c *conn) string {
	id, _ := p.links.SessionOf(&c.entry)
	return id
}

// seen returns what has happened to the process since the last call.
func (p *process) seen() (stored []tracking.Stored, ended []string, closed, later []registry.Close) {
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	stored, ended, closed, later = p.stored, p.ended, p.closed, p.later
	p.stored, p.ended, p.closed, p.later = nil, nil, nil, nil
	return stored, ended, closed, later
}

func (p *process) hasFailed(doing string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Contains(p.failed, doing)
}

var overtaken = registry.Close{Code: errorcodes.Reconnect, Reason: "session changed during the handshake"}
