package registry_test

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/clock"
	"github.com/sessionbridge/sessionbridge/internal/registry"
	"github.com/sessionbridge/sessionbridge/store"
)

// conn is a connection as the registry sees it.
type conn struct {
	entry registry.Entry
	ended atomic.Bool
}

func entryOf(c *conn) *registry.Entry { return &c.entry }
func ended(c *conn) bool              { return c.ended.Load() }

var (
	reconnect = registry.Close{Code: 4001, Reason: "reconnect"}
	replaced  = registry.Close{Code: 1008, Reason: "replaced"}
	tooMany   = registry.Close{Code: 1008, Reason: "too many"}
)

type fixture struct {
	*registry.Registry[*conn]
	t      *testing.T
	held   map[string]int
	opened time.Duration

	mu     sync.Mutex
	looked []string
}

func newFixture(t *testing.T, cfg registry.Config[*conn]) *fixture {
	f := &fixture{t: t, held: make(map[string]int)}
	cfg.Clock = clock.New()
	t.Cleanup(cfg.Clock.Close)
	cfg.Look = func(id string) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.looked = append(f.looked, id)
	}
	cfg.Hold = func(id string) { f.held[id]++ }
	cfg.Drop = func(id string) { f.held[id]-- }
	cfg.Reconnect, cfg.Replaced, cfg.TooMany = reconnect, replaced, tooMany
	cfg.Entry, cfg.Ended = entryOf, ended
	f.Registry = registry.New(cfg)
	return f
}

// make returns a connection of client "c", each opened later than the one before.
func (f *fixture) make(sessionID string, proved uint64) *conn {
	f.opened++
	c := &conn{entry: registry.Entry{ID: fmt.Sprint("conn ", f.opened), ClientID: "c", Addr: "192.0.2.1", OpenedAt: f.opened}}
	c.entry.Attach(sessionID, "", proved, 0)
	return c
}

func (f *fixture) add(sessionID string, proved uint64) *conn {
	f.t.Helper()
	c := f.make(sessionID, proved)
	evicted, err := f.Add(c)
	require.NoError(f.t, err)
	require.Empty(f.t, evicted)
	return c
}

// looks returns the sessions that were to be looked at since the last call.
func (f *fixture) looks() (ids []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	ids, f.looked = f.looked, nil
	return ids
}

func (f *fixture) sessionOf(c *conn) string {
	id, _ := f.SessionOf(&c.entry)
	return id
}

func TestConnectionIsFoundByEverythingThatItHasUntilItIsRemoved(t *testing.T) {
	f := newFixture(t, registry.Config[*conn]{Limits: registry.Limits{PerAddr: 10}})
	a, b, bare := f.add("s", 1), f.add("s", 1), f.add("", 0)
	require.Empty(t, f.Learn(&store.Record{ID: "s", ClientID: "c", UserID: "ann", Revision: 1}))
	for range 2 {
		require.Equal(t, a, f.Get(a.entry.ID))
		require.ElementsMatch(t, []*conn{a, b}, f.OfSession("s"))
		require.ElementsMatch(t, []*conn{a, b, bare}, f.OfClient("c"))
		require.ElementsMatch(t, []*conn{a, b}, f.OfUser("ann"))
		require.ElementsMatch(t, []*conn{a, b, bare}, f.All())
		from, known := f.FromAddr("192.0.2.1")
		require.True(t, known)
		require.ElementsMatch(t, []*conn{a, b, bare}, from)
		require.Equal(t, "ann", f.UserOf("s"))
		require.Equal(t, []int{3, 3, 2}, []int{f.Count(), f.CountOfClient("c"), f.CountOfSession("s")})
		require.Equal(t, map[string]int{"s": 2}, f.Sessions())
		require.Equal(t, []string{"c"}, f.Clients())
		require.Equal(t, []string{"ann"}, f.UserIDs())
		since := map[string]time.Duration{}
		f.Users(func(users func(func(string, time.Duration))) {
			users(func(id string, oldest time.Duration) { since[id] = oldest })
		})
		require.Equal(t, map[string]time.Duration{"ann": min(a.entry.OpenedAt, b.entry.OpenedAt)}, since)
		require.EqualValues(t, 1, f.RevisionOf("s"))

		other := f.make("other", 1)
		other.entry.ID = a.entry.ID
		_, err := f.Add(other)
		require.ErrorIs(t, err, registry.ErrIDInUse)
		_, _, removed := f.Remove(other)
		require.False(t, removed, "another connection has the ID")
	}
	for _, c := range []*conn{a, b} {
		id, user, removed := f.Remove(c)
		require.True(t, removed)
		require.Equal(t, []string{"s", "ann"}, []string{id, user})
		_, _, removed = f.Remove(c)
		require.False(t, removed)
	}
	id, user, removed := f.Remove(bare)
	require.True(t, removed)
	require.Empty(t, id+user)
	require.Empty(t, f.All())
	require.Empty(t, f.Clients())
	require.Empty(t, f.OfUser("ann"))
	require.False(t, f.HasSession("s"))
	require.Equal(t, map[string]int{"s": 0}, f.held)
}

func TestSessionIsHeldFromItsFirstConnectionToItsLast(t *testing.T) {
	f := newFixture(t, registry.Config[*conn]{})
	a := f.add("s", 0)
	b := f.add("s", 0)
	require.Equal(t, 1, f.held["s"])
	f.Part(a)
	require.Equal(t, 1, f.held["s"])
	f.Part(b)
	require.Equal(t, 0, f.held["s"])
	f.add("s", 0)
	require.Equal(t, 1, f.held["s"])
	f.PartSession("s", registry.Close{})
	require.Equal(t, 0, f.held["s"])
}

func TestPartedConnectionRemembersItsSessionAndHowItIsClosed(t *testing.T) {
	f := newFixture(t, registry.Config[*conn]{})
	a, b := f.add("s", 1), f.add("s", 1)
	f.Learn(&store.Record{ID: "s", ClientID: "c", UserID: "ann", Revision: 1})
	over := registry.Close{Code: 4500, Reason: "logout"}
	require.ElementsMatch(t, []*conn{a, b}, f.PartSession("s", over))
	require.Empty(t, f.PartSession("s", over))
	for _, c := range []*conn{a, b} {
		require.Empty(t, f.sessionOf(c))
		require.Equal(t, over, f.CloseOf(&c.entry))
		_, user, open := f.State(c)
		require.True(t, open)
		require.Empty(t, user)
		id, user, _ := f.Remove(c)
		require.Equal(t, []string{"s", "ann"}, []string{id, user})
	}
}

func TestFollowTakesTheClientsConnectionsAlong(t *testing.T) {
	f := newFixture(t, registry.Config[*conn]{Limits: registry.Limits{PerSession: 2, Evict: true}})
	first, bare, other := f.add("old", 0), f.add("", 0), f.add("new", 0)
	place := f.add("old", 0)
	place.entry.Fixed = true
	fixed, crowd := f.Follow("c", "new")
	require.Equal(t, []*conn{first}, crowd, "the oldest goes")
	require.Equal(t, []*conn{place}, fixed, "it doesn't follow")
	require.Empty(t, f.sessionOf(place))
	require.Equal(t, reconnect, f.CloseOf(&place.entry))
	require.Equal(t, tooMany, f.CloseOf(&first.entry))
	require.Equal(t, []string{"", "new", "new"}, []string{f.sessionOf(first), f.sessionOf(bare), f.sessionOf(other)})
	require.Equal(t, map[string]int{"old": 0, "new": 1}, f.held)
}

// Random operations by several goroutines: at the end each connection is where it says it is, and
// nothing is left when all are removed.
func TestRegistryStaysConsistent(t *testing.T) {
	var mu sync.Mutex // of held
	held := map[string]int{}
	count := func(n int) func(string) {
		return func(id string) { mu.Lock(); held[id] += n; mu.Unlock() }
	}
	c := clock.New()
	defer c.Close()
	r := registry.New(registry.Config[*conn]{
		Entry: entryOf, Ended: ended,
		Clock: c, Look: func(string) {}, Hold: count(1), Drop: count(-1), Reconnect: reconnect, Replaced: replaced, TooMany: tooMany,
		Limits: registry.Limits{PerSession: 20, PerAddr: 40, Evict: true},
	})
	pick := func(of string, n int) string { return of + strconv.Itoa(rand.IntN(n)) }
	var running sync.WaitGroup
	for g := range 8 {
		running.Go(func() {
			var mine []*conn
			for i := range 500 {
				switch rand.IntN(10) {
				case 0, 1, 2:
					n := &conn{entry: registry.Entry{ID: fmt.Sprint(g, " ", i), ClientID: pick("c", 5), Addr: pick("192.0.2.", 5), OpenedAt: time.Duration(i)}}
					if rand.IntN(4) > 0 {
						n.entry.Attach(pick("s", 10), "", uint64(rand.IntN(3)), 0)
					}
					if _, err := r.Add(n); err == nil {
						mine = append(mine, n)
					}
				case 3, 4:
					if len(mine) > 0 {
						r.Remove(mine[0])
						mine = mine[1:]
					}
				case 5:
					r.PartSession(pick("s", 10), reconnect)
				case 6:
					r.PartOlder(&store.Record{ID: pick("s", 10), ClientID: pick("c", 5), LoginGeneration: uint64(rand.IntN(3))})
				case 7:
					r.Follow(pick("c", 5), pick("s", 10))
				case 8:
					for _, l := range r.Learn(&store.Record{ID: pick("s", 10), UserID: pick("u", 3), Revision: uint64(i), Expires: time.Now().Add(time.Hour)}) {
						r.Part(l)
					}
				case 9:
					r.Retry(pick("s", 10))
				}
			}
			if g%2 == 0 {
				for _, l := range mine {
					r.Remove(l)
				}
			}
		})
	}
	running.Wait()
	ofSessions, ofUsers := 0, 0
	for id, n := range r.Sessions() {
		require.Len(t, r.OfSession(id), n)
		require.Equal(t, 1, held[id])
		for _, l := range r.OfSession(id) {
			got, _ := r.SessionOf(&l.entry)
			require.Equal(t, id, got)
		}
		ofSessions += n
		if r.UserOf(id) != "" {
			ofUsers += n
		}
	}
	found := 0
	for i := range 3 {
		found += len(r.OfUser("u" + strconv.Itoa(i)))
	}
	require.Equal(t, ofUsers, found)
	ofClients := 0
	for _, id := range r.Clients() {
		ofClients += r.CountOfClient(id)
	}
	require.Equal(t, r.Count(), ofClients)
	require.LessOrEqual(t, ofSessions, r.Count())
	for _, l := range r.All() {
		_, _, removed := r.Remove(l)
		require.True(t, removed)
	}
	require.Empty(t, r.Sessions())
	require.Empty(t, r.Clients())
	require.Zero(t, c.Len(), "looks of sessions without connections")
	for id, n := range held {
		require.Zero(t, n, id)
	}
}

func TestConnectionsAreFoundByIDOnce(t *testing.T) {
	f := newFixture(t, registry.Config[*conn]{})
	one, two := f.add("s", 0), f.add("", 0)
	f.add("s", 0)
	require.Equal(t, []*conn{two, one}, f.WithIDs([]string{two.entry.ID, "none", one.entry.ID, two.entry.ID}))
	require.Empty(t, f.WithIDs(nil))
}

func TestActivityOfConnectionsIsKnownBeforeItIsRecorded(t *testing.T) {
	f := newFixture(t, registry.Config[*conn]{})
	c := f.add("s", 0)
	f.add("quiet", 0)
	at := time.Now().Round(0) // without the monotonic clock
	for range 2 {             // the second time it is being recorded
		f.ClaimActivity(&c.entry, at, time.Minute)
		at = at.Add(time.Second)
	}
	active := map[string]time.Time{}
	f.ActiveSince(at.Add(-time.Second), func(id string, at time.Time) { active[id] = at })
	require.Equal(t, map[string]time.Time{"s": at.Add(-time.Second)}, active)
}
