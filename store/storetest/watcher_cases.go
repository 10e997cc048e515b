package storetest

import (
	"slices"
	"sync"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/store"
)

// newsPatience is how long what is told may take.
const newsPatience = 20 * time.Second

// nodeOf is a node, and what it has been told.
type nodeOf struct {
	store.Node
	e *env

	mu   sync.Mutex
	told []store.Change
	some chan struct{}
}

// watch makes a node that leaves at the end of the case.
func (e *env) watch() *nodeOf {
	e.Helper()
	n := &nodeOf{e: e, some: make(chan struct{}, 1)}
	n.Node = e.st.(store.Watcher).Watch(func(ch store.Change) {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.told = append(n.told, ch)
		select {
		case n.some <- struct{}{}:
		default:
		}
	})
	e.Cleanup(func() { _ = n.Leave(e.Context()) }) // a case may have done so
	n.hold("not a session of the case", "")        // so that it has joined
	return n
}

func (n *nodeOf) hold(sessionID, clientID string) {
	n.e.Helper()
	require.NoError(n.e, n.Hold(n.e.ctx, sessionID, clientID))
}

// hear waits for the next change that isn't a hint, which may come late.
func (n *nodeOf) hear() store.Change {
	n.e.Helper()
	late := time.NewTimer(newsPatience)
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
			require.FailNow(n.e, "nothing is told")
		}
	}
}

func (n *nodeOf) end(id, reason string) {
	n.e.Helper()
	was, err := n.End(n.e.ctx, id, reason, 0)
	require.NoError(n.e, err)
	require.True(n.e, was)
}

// silent has another node end a session that n holds: n hears nothing else before that.
func (n *nodeOf) silent(by *nodeOf) {
	n.e.Helper()
	marker := n.e.create()
	n.hold(marker.ID, "")
	by.end(marker.ID, "marker")
	require.Equal(n.e, store.Change{Kind: store.ChangeEnded, ID: marker.ID, Reason: "marker"}, n.hear(), "nothing comes before it")
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
		{"ended", "ChangeEnded: the session ID is gone, for the Reason that Ender.End was told; \"\" when nobody knows.", func(e *env) {
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
		}},
		{"swept", "ReasonSwept after Sweep.", func(e *env) {
			a, b := e.watch(), e.watch()
			sweeper, ok := a.Node.(store.Sweeper)
			require.True(e, ok, "a node has the capabilities of its store")
			rec := e.create()
			b.hold(rec.ID, "")
			recs, err := sweeper.Sweep(e.ctx, rec.Expires, 10)
			require.NoError(e, err)
			require.Len(e, recs, 1)
			require.Equal(e, store.Change{Kind: store.ChangeEnded, ID: rec.ID, Reason: store.ReasonSwept}, b.hear())
		}},
		{"access", "ChangeAccess: the session ID was stored with another token or user, or it ends earlier than it would have.", func(e *env) {
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
		}},
		{"not to itself", "What is done through it is told to the other nodes and not to itself.", func(e *env) {
			a, b := e.watch(), e.watch()
			rec := e.create()
			a.hold(rec.ID, rec.ClientID)
			rec = a.change(rec, func(rec *store.Record) { rec.TokenHash[0]++ })
			require.NoError(e, a.Announce(e.ctx, rec.ClientID, rec.ID))
			a.end(rec.ID, "x")
			a.silent(b)
		}},
		{"held only", "Hold has the node told of what happens to the session, and to the client; Release ends what Hold began.", func(e *env) {
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
		}},
		{"announced", "Announce tells the nodes that hold the client: ChangeClient.", func(e *env) {
			a, b := e.watch(), e.watch()
			rec := e.create()
			b.hold("", rec.ClientID)
			require.NoError(e, a.Announce(e.ctx, rec.ClientID, rec.ID))
			require.Equal(e, store.Change{Kind: store.ChangeClient, ID: rec.ID, ClientID: rec.ClientID}, b.hear())
		}},
		{"in order", "What happens to a session is told in its order.", func(e *env) {
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
		{"messages", "Send sends a message to each of these nodes; Holders returns the other nodes that hold one of these, each once, Nodes all others.", func(e *env) {
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
		}},
		{"left", "Leave ends the node: nothing is told when it has returned, and the others forget it.", func(e *env) {
			a, b := e.watch(), e.watch()
			rec := e.create()
			b.hold(rec.ID, rec.ClientID)
			require.NoError(e, b.Leave(e.ctx))
			nodes, err := a.Nodes(e.ctx)
			require.NoError(e, err)
			require.Empty(e, nodes)
			a.end(rec.ID, "x")
			require.Empty(e, b.told)
		}},
		{"end at a revision", "With a revision that isn't 0 End ends the session only if that is stored now: ErrConflict when another one is.", func(e *env) {
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
		}},
		{"contact", "Contact returns what the node knows of its connection to the others.", func(e *env) {
			a := e.watch()
			require.Eventually(e, func() bool {
				c := a.Contact()
				return time.Since(c.Answered) < 3*time.Second && !c.Reached.Before(c.Answered) && time.Since(c.Heard) < 3*time.Second
			}, newsPatience, 10*time.Millisecond)
		}},
	}
}

// lockerCases are for stores that are a UserLocker, and nodes that are a Reserver.
func lockerCases() []testCase {
	return []testCase{
		{"locked user", "LockUser has every Set fail with ErrBusy that makes a session the user's which wasn't before, or that gives a session of the user's another token, until unlock is called.", func(e *env) {
			mine, guest := e.create(func(rec *store.Record) { rec.UserID = "ada" }), e.create()
			unlock, err := e.st.(store.UserLocker).LockUser(e.ctx, "ada")
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
		}},
		{"several locks", "Several may hold a lock on one user.", func(e *env) {
			locker := e.st.(store.UserLocker)
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

func reserverCases() []testCase {
	return []testCase{
		{"reserved", "Reserve has every Set of the session by others than this node fail with ErrBusy, until release is called. Nobody is kept from ending the session.", func(e *env) {
			a, b := e.watch(), e.watch()
			reserver, ok := a.Node.(store.Reserver)
			if !ok {
				return // it may do without
			}
			rec, other := e.create(), e.create()
			release, err := reserver.Reserve(e.ctx, rec.ID)
			require.NoError(e, err)
			_, err = b.Set(e.ctx, rec)
			require.ErrorIs(e, err, store.ErrBusy)
			_, err = b.Node.(store.Reserver).Reserve(e.ctx, rec.ID)
			require.ErrorIs(e, err, store.ErrBusy)
			b.change(other, func(*store.Record) {})
			rec = a.change(rec, func(*store.Record) {})
			require.NoError(e, release(e.ctx))
			rec = b.change(rec, func(*store.Record) {})
			release, err = reserver.Reserve(e.ctx, rec.ID)
			require.NoError(e, err)
			b.end(rec.ID, "x")
			require.NoError(e, release(e.ctx))
		}},
	}
}

func cacheCases() []testCase {
	return []testCase{
		{"cached", "GetCached is Get, but what it returns may be as old as news from the store takes to arrive.", func(e *env) {
			cached := e.st.(store.CachedGetter)
			rec := e.create()
			for range 3 {
				got, err := cached.GetCached(e.ctx, rec.ID)
				require.NoError(e, err)
				requireSame(e, rec, got)
				got.Data[0] = '!' // the caller's own
			}
			rec.Data = []byte(`{"n":1}`)
			rec = e.set(rec)
			require.Eventually(e, func() bool {
				got, err := cached.GetCached(e.ctx, rec.ID)
				return err == nil && got.Revision == rec.Revision
			}, newsPatience, time.Millisecond)
			_, err := e.st.Destroy(e.ctx, rec.ID)
			require.NoError(e, err)
			require.Eventually(e, func() bool {
				_, err := cached.GetCached(e.ctx, rec.ID)
				return err != nil
			}, newsPatience, time.Millisecond)
			_, err = cached.GetCached(e.ctx, rec.ID)
			require.ErrorIs(e, err, store.ErrNotFound)
		}},
		{"not there before", "It never says ErrNotFound of a session for having been told so earlier.", func(e *env) {
			cached := e.st.(store.CachedGetter)
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
