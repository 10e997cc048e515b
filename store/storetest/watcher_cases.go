package storetest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/store"
)

// notificationTimeout limits the time for a notification.
const notificationTimeout = 20 * time.Second

// nodeOf is a node that records the changes that are reported to it.
type nodeOf struct {
	store.Node
	e *env

	mu   sync.Mutex
	told []store.Change
	some chan struct{}
}

// watch starts a node that leaves at the end of the case.
func (e *env) watch() *nodeOf {
	e.Helper()
	n := &nodeOf{e: e, some: make(chan struct{}, 1)}
	n.Node = capability[store.Watcher](e.st).Watch(func(ch store.Change) {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.told = append(n.told, ch)
		select {
		case n.some <- struct{}{}:
		default:
		}
	})
	e.Cleanup(func() { _ = n.Leave(e.Context()) }) // the case may have called Leave
	n.hold("not a session of the case", "")        // waits until it has joined
	return n
}

func (n *nodeOf) hold(sessionID, clientID string) {
	n.e.Helper()
	require.NoError(n.e, n.Hold(n.e.ctx, sessionID, clientID))
}

// hear waits for the next change other than ChangeStored, which may be late.
func (n *nodeOf) hear() store.Change {
	n.e.Helper()
	late := time.NewTimer(notificationTimeout)
	defer late.Stop()
	for {
		n.mu.Lock()
		n.told = slices.DeleteFunc(n.told, func(ch store.Change) bool { return ch.Kind == store.ChangeStored })
		if len(n.told) > 0 {
			ch := n.told[0]
			n.told = n.told[1:]
			n.mu.Unlock()
			return ch
		}
		n.mu.Unlock()
		select {
		case <-n.some:
		case <-late.C:
			require.FailNow(n.e, "no change is reported")
		}
	}
}

func (n *nodeOf) end(id, reason string) {
	n.e.Helper()
	was, err := n.End(n.e.ctx, id, reason, 0)
	require.NoError(n.e, err)
	require.True(n.e, was)
}

// silent fails if a change is reported before one that it causes itself through another node.
func (n *nodeOf) silent(by *nodeOf) {
	n.e.Helper()
	marker := n.e.create()
	n.hold(marker.ID, "")
	by.end(marker.ID, "marker")
	want := store.Change{Kind: store.ChangeEnded, ID: marker.ID, Reason: "marker"}
	require.Equal(n.e, want, n.hear(), "no other change is reported before")
}

// change stores the record through the node.
func (n *nodeOf) change(rec store.Record, how func(*store.Record)) store.Record {
	n.e.Helper()
	how(&rec)
	revision, err := n.Set(n.e.ctx, rec)
	require.NoError(n.e, err)
	rec.Revision = revision
	return rec
}

func watcherCases() []testCase {
	return []testCase{
		{
			"ended",
			"ChangeEnded: the session ID is gone. Reason is that of Ender.End, or \"\" if it is unknown.",
			func(e *env) {
				a, b := e.watch(), e.watch()
				one, two := e.create(), e.create()
				b.hold(one.ID, one.ClientID)
				b.hold(two.ID, "")
				a.end(one.ID, "logout")
				require.Equal(e, store.Change{Kind: store.ChangeEnded, ID: one.ID, Reason: "logout"}, b.hear())
				_, err := a.Destroy(e.ctx, two.ID)
				require.NoError(e, err)
				require.Equal(e, store.Change{Kind: store.ChangeEnded, ID: two.ID}, b.hear())
				e.requireGone(one.ID)
			},
		},
		{"swept", "ChangeEnded: Reason is ReasonSwept after Sweep.", func(e *env) {
			a, b := e.watch(), e.watch()
			sweeper, ok := store.As[store.Sweeper](a.Node)
			require.True(e, ok, "a node has the capabilities of its store")
			rec := e.create()
			b.hold(rec.ID, "")
			recs, err := sweeper.Sweep(e.ctx, rec.Expires, 10)
			require.NoError(e, err)
			require.Len(e, recs, 1)
			require.Equal(e, store.Change{Kind: store.ChangeEnded, ID: rec.ID, Reason: store.ReasonSwept}, b.hear())
		}},
		{
			"access",
			"ChangeAccess: the session ID was stored with another token or user, or expires earlier than before.",
			func(e *env) {
				a, b := e.watch(), e.watch()
				rec := e.create()
				b.hold(rec.ID, "")
				for _, how := range []func(*store.Record){
					func(rec *store.Record) { rec.TokenHash[0]++ },
					func(rec *store.Record) { rec.UserID = "ada" },
					func(rec *store.Record) { rec.Expires = rec.Expires.Add(-time.Minute) },
				} {
					rec = a.change(rec, how)
					require.Equal(e, store.Change{Kind: store.ChangeAccess, ID: rec.ID}, b.hear())
				}
				rec = a.change(rec, func(rec *store.Record) { rec.Data = []byte(`{"n":1}`) })
				a.change(rec, func(rec *store.Record) { rec.Expires = rec.Expires.Add(time.Hour) })
				b.silent(a)
			},
		},
		{
			"own changes",
			"Other nodes are notified of changes that are made through a node; the node itself is not.", func(e *env) {
				a, b := e.watch(), e.watch()
				rec := e.create()
				a.hold(rec.ID, rec.ClientID)
				rec = a.change(rec, func(rec *store.Record) { rec.TokenHash[0]++ })
				require.NoError(e, a.Announce(e.ctx, rec.ClientID, rec.ID))
				a.end(rec.ID, "x")
				a.silent(b)
			},
		},
		{
			"held only",
			"Hold subscribes the node to changes of the session and of the client; Release undoes Hold.", func(e *env) {
				a, b := e.watch(), e.watch()
				held, other := e.create(), e.create()
				b.hold(held.ID, held.ClientID)
				a.end(other.ID, "x")
				require.NoError(e, a.Announce(e.ctx, other.ClientID, other.ID))
				b.silent(a)
				require.NoError(e, b.Release(e.ctx, held.ID, held.ClientID))
				require.NoError(e, a.Announce(e.ctx, held.ClientID, held.ID))
				a.end(held.ID, "x")
				b.silent(a)
			},
		},
		{"announced", "Announce notifies the nodes that hold the client with ChangeClient.", func(e *env) {
			a, b := e.watch(), e.watch()
			rec := e.create()
			b.hold("", rec.ClientID)
			require.NoError(e, a.Announce(e.ctx, rec.ClientID, rec.ID))
			require.Equal(e, store.Change{Kind: store.ChangeClient, ID: rec.ID, ClientID: rec.ClientID}, b.hear())
		}},
		{"in order", "The changes of a session are reported in their order.", func(e *env) {
			a, b := e.watch(), e.watch()
			rec := e.create()
			b.hold(rec.ID, "")
			const changes = 50
			for range changes {
				rec = a.change(rec, func(rec *store.Record) { rec.TokenHash[0]++ })
			}
			a.end(rec.ID, "last")
			for range changes {
				require.Equal(e, store.Change{Kind: store.ChangeAccess, ID: rec.ID}, b.hear())
			}
			require.Equal(e, store.Change{Kind: store.ChangeEnded, ID: rec.ID, Reason: "last"}, b.hear())
		}},
		{
			"messages",
			"Send sends a message to each of these nodes; Holders returns the other nodes that hold one of the items, " +
				"without duplicates; Nodes returns all other nodes.",
			func(e *env) {
				a, b, c := e.watch(), e.watch(), e.watch()
				b.hold("s1", "c1")
				b.hold("s2", "")
				c.hold("", "c1")
				nodes, err := a.Nodes(e.ctx)
				require.NoError(e, err)
				require.Len(e, nodes, 2)
				of, err := a.Holders(e.ctx, []string{"s1", "s2", "s3"}, nil)
				require.NoError(e, err)
				require.Len(e, of, 1)
				both, err := a.Holders(e.ctx, []string{"s1"}, []string{"c1"})
				require.NoError(e, err)
				require.ElementsMatch(e, nodes, both)
				mine, err := b.Holders(e.ctx, []string{"s1"}, nil)
				require.NoError(e, err)
				require.Empty(e, mine, "the others")
				require.NoError(e, a.Send(e.ctx, of, []byte("hello\x00\xff")))
				got := b.hear()
				require.Equal(e, store.ChangeMessage, got.Kind)
				require.Equal(e, "hello\x00\xff", string(got.Data))
				require.NoError(e, b.Send(e.ctx, []string{got.From}, []byte("back")))
				require.Equal(e, "back", string(a.hear().Data))
				c.silent(a)
			},
		},
		{
			"left",
			"Leave ends the node: after it has returned no change is reported, and other nodes no longer see this one.",
			func(e *env) {
				a, b := e.watch(), e.watch()
				rec := e.create()
				b.hold(rec.ID, rec.ClientID)
				require.NoError(e, b.Leave(e.ctx))
				nodes, err := a.Nodes(e.ctx)
				require.NoError(e, err)
				require.Empty(e, nodes)
				a.end(rec.ID, "x")
				require.Empty(e, b.told)
			},
		},
		{
			"end at a revision",
			"If revision isn't 0, End ends the session only if that revision is stored, and returns ErrConflict " +
				"otherwise.", func(e *env) {
				a := e.watch()
				rec := e.create()
				now := e.set(rec)
				_, err := a.End(e.ctx, rec.ID, "x", rec.Revision)
				require.ErrorIs(e, err, store.ErrConflict)
				e.requireStored(now)
				was, err := a.End(e.ctx, rec.ID, "x", now.Revision)
				require.NoError(e, err)
				require.True(e, was)
				was, err = a.End(e.ctx, rec.ID, "x", now.Revision)
				require.NoError(e, err)
				require.False(e, was)
			},
		},
		{"contact", "Contact returns when the node last had contact with the store.", func(e *env) {
			a := e.watch()
			require.Eventually(e, func() bool {
				c := a.Contact()
				recent := time.Since(c.Answered) < 3*time.Second && time.Since(c.Heard) < 3*time.Second
				return recent && !c.Reached.Before(c.Answered)
			}, notificationTimeout, 10*time.Millisecond)
		}},
	}
}

// lockerCases are for stores that implement UserLocker, reserverCases for nodes that implement
// Reserver.
func lockerCases() []testCase {
	return []testCase{
		{
			"locked user",
			"Until unlock is called, LockUser makes a Set return ErrBusy if it assigns a session to the user or gives " +
				"a session of the user another token.",
			func(e *env) {
				mine, guest := e.create(func(rec *store.Record) { rec.UserID = "ada" }), e.create()
				unlock, err := capability[store.UserLocker](e.st).LockUser(e.ctx, "ada")
				require.NoError(e, err)
				again, login := mine, guest
				again.TokenHash[0]++
				login.UserID = "ada"
				for _, rec := range []store.Record{again, login, e.newRecord(func(rec *store.Record) { rec.UserID = "ada" })} {
					_, err := e.trySet(rec)
					require.ErrorIs(e, err, store.ErrBusy)
				}
				e.requireStored(mine)
				mine.Data = []byte(`{"n":1}`)
				mine = e.set(mine)
				e.create(func(rec *store.Record) { rec.UserID = "bob" })
				require.NoError(e, unlock(e.ctx))
				e.set(login)
				mine.TokenHash[0]++
				e.set(mine)
			},
		},
		{"several locks", "Several callers may hold locks on one user.", func(e *env) {
			locker := capability[store.UserLocker](e.st)
			first, err := locker.LockUser(e.ctx, "ada")
			require.NoError(e, err)
			second, err := locker.LockUser(e.ctx, "ada")
			require.NoError(e, err)
			require.NoError(e, first(e.ctx))
			rec := e.newRecord(func(rec *store.Record) { rec.UserID = "ada" })
			_, err = e.trySet(rec)
			require.ErrorIs(e, err, store.ErrBusy)
			require.NoError(e, second(e.ctx))
			e.set(rec)
		}},
	}
}

// requireReserved has the node reserve an ID, and fails unless others then get ErrBusy. A reservation
// lasts for at most a second: what others get later says nothing, and another ID is tried.
func (e *env) requireReserved(
	by store.Reserver, newID func() string, others ...func(id string) error,
) (id string, release func(context.Context) error) {
	e.Helper()
	for range 20 {
		id, began := newID(), time.Now()
		release, err := by.Reserve(e.ctx, id)
		require.NoError(e, err)
		for _, other := range others {
			if err = other(id); !errors.Is(err, store.ErrBusy) {
				break
			}
		}
		if errors.Is(err, store.ErrBusy) {
			return id, release
		}
		require.Greater(e, time.Since(began), time.Second, "another node got %v while the ID was reserved", err)
	}
	require.FailNow(e, "no attempt took less than a second")
	return "", nil
}

func reserverCases() []testCase {
	return []testCase{
		{
			"reserved",
			"Reserve makes every Set of the session by other nodes return ErrBusy until release is called. It doesn't " +
				"prevent the end of the session.",
			func(e *env) {
				a, b := e.watch(), e.watch()
				reserver, ok := store.As[store.Reserver](a.Node)
				if !ok {
					return // the capability is optional
				}
				other := e.create()
				id, release := e.requireReserved(reserver, func() string { return e.create().ID },
					func(id string) error { _, err := b.Set(e.ctx, e.get(id)); return err },
					func(id string) error { _, err := capability[store.Reserver](b.Node).Reserve(e.ctx, id); return err })
				b.change(other, func(*store.Record) {})
				rec := a.change(e.get(id), func(*store.Record) {})
				require.NoError(e, release(e.ctx))
				rec = b.change(rec, func(*store.Record) {})
				release, err := reserver.Reserve(e.ctx, rec.ID)
				require.NoError(e, err)
				b.end(rec.ID, "x")
				require.NoError(e, release(e.ctx))
			},
		},
		{
			"reserved without a session",
			"Reserve is for any ID, also without a session: it returns ErrBusy if another node has reserved the ID.",
			func(e *env) {
				a, b := e.watch(), e.watch()
				if _, ok := store.As[store.Reserver](a.Node); !ok {
					return // the capability is optional
				}
				second := capability[store.Reserver](b.Node)
				reserve := func(id string) error { _, err := second.Reserve(e.ctx, id); return err }
				create := func(id string) error {
					_, err := b.Set(e.ctx, e.newRecord(func(rec *store.Record) { rec.ID = id }))
					return err
				}
				id, release := e.requireReserved(capability[store.Reserver](a.Node), newID, reserve, create)
				require.NoError(e, release(e.ctx))
				require.NoError(e, reserve(id))
				require.NoError(e, create(id))
			},
		},
	}
}

func cacheCases() []testCase {
	return []testCase{
		{
			"cached",
			"GetCached is Get, but the result may be outdated by the time that a notification from the store takes to " +
				"arrive.",
			func(e *env) {
				cached := capability[store.CachedGetter](e.st)
				rec := e.create()
				for range 3 {
					got, err := cached.GetCached(e.ctx, rec.ID)
					require.NoError(e, err)
					requireSame(e, rec, got)
					got.Data[0] = '!' // a copy
				}
				rec.Data = []byte(`{"n":1}`)
				rec = e.set(rec)
				require.Eventually(e, func() bool {
					got, err := cached.GetCached(e.ctx, rec.ID)
					return err == nil && got.Revision == rec.Revision
				}, notificationTimeout, time.Millisecond)
				_, err := e.st.Destroy(e.ctx, rec.ID)
				require.NoError(e, err)
				require.Eventually(e, func() bool {
					_, err := cached.GetCached(e.ctx, rec.ID)
					return err != nil
				}, notificationTimeout, time.Millisecond)
				_, err = cached.GetCached(e.ctx, rec.ID)
				require.ErrorIs(e, err, store.ErrNotFound)
			},
		},
		{"created since", "GetCached never caches ErrNotFound.", func(e *env) {
			cached := capability[store.CachedGetter](e.st)
			rec := e.newRecord()
			_, err := cached.GetCached(e.ctx, rec.ID)
			require.ErrorIs(e, err, store.ErrNotFound)
			rec = e.set(rec)
			got, err := cached.GetCached(e.ctx, rec.ID)
			require.NoError(e, err)
			requireSame(e, rec, got)
		}},
	}
}
