package bridge_test

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/store"
)

// bentNodes is makeNodes with nodes that can be bent.
func bentNodes(t testing.TB, n int, opts bridge.Options) (nodes []*bentNode, apps []*app) {
	t.Helper()
	h := &bent{hub: newHub(), bend: func(n *bentNode) { nodes = append(nodes, n) }}
	opts.Keys = [][]byte{slices.Repeat([]byte("k"), 32)}
	for range n {
		apps = append(apps, makeApp(t, h, &opts))
	}
	return nodes, apps
}

// TestG12_APartOfTheStoreThatHangsDoesNotHoldUpEnds: what another node says of a session's end waits for no look at other sessions.
func TestG12_APartOfTheStoreThatHangsDoesNotHoldUpEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes, apps := bentNodes(t, 2, bridge.Options{TouchInterval: time.Second, RevalidateEvery: bridge.Off})
		here, there := apps[0].serveInMemory(t), apps[1].serveInMemory(t)
		ada := newBrowser(t, here)
		ada.ok("/inc")
		well := ada.ok("/id")
		tab := ada.dial("/ws").whenClosed()
		var others []*socket
		for range 200 {
			br := newBrowser(t, here)
			br.ok("/inc")
			others = append(others, br.dial("/ws").listen())
		}
		synctest.Wait()
		nodes[0].change(func(n *bentNode) {
			n.beforeGet = func(ctx context.Context, id string) error {
				if id == well {
					return nil
				}
				return silent(ctx)
			}
		})
		time.Sleep(2 * time.Second)
		for _, other := range others { // their activity is due to be recorded
			other.say("id")
		}
		synctest.Wait()
		ada.at(there).ok("/logout")
		start := time.Now()
		require.Equal(t, bridge.CodeDestroyed, <-tab)
		require.Less(t, time.Since(start), time.Second)
		nodes[0].change(func(n *bentNode) { n.beforeGet = nil })
	})
}

// TestG7_HoldsThatHangDoNotHoldUpExpiry: what the node would like to hold waits apart from what it has to do in time.
func TestG7_HoldsThatHangDoNotHoldUpExpiry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		nodes, apps := bentNodes(t, 1, bridge.Options{IdleTimeout: time.Minute, TouchInterval: time.Second, RevalidateEvery: bridge.Off, AutoCleanup: bridge.Off})
		here := apps[0].serveInMemory(t)
		ada := newBrowser(t, here)
		ada.ok("/inc")
		tab := ada.dial("/ws").whenClosed()
		start := time.Now()
		time.Sleep(55 * time.Second)
		nodes[0].change(func(n *bentNode) { n.onHold = silent })
		for range 1000 {
			newBrowser(t, here).ok("/inc")
		}
		require.Equal(t, bridge.CodeExpired, <-tab)
		require.InDelta(t, 61, time.Since(start).Seconds(), 1.5)
	})
}

// TestG4_SessionsWithSocketsAreLookedAtFirst: after a node was cut off, what only requests use can wait.
func TestG4_SessionsWithSocketsAreLookedAtFirst(t *testing.T) {
	t.Parallel()
	nodes, apps := bentNodes(t, 1, bridge.Options{RevalidateEvery: bridge.Off})
	handler := apps[0].Handler(apps[0].mux)
	for range 2000 {
		pocket{}.get(t, handler, "/inc")
	}
	ada := newBrowser(t, apps[0].serve(t))
	ada.ok("/inc")
	id := ada.ok("/id")
	ada.dial("/ws").ask("id")
	require.Eventually(t, func() bool { _, clients := nodes[0].holds(); return clients == 2001 }, patience, time.Millisecond)
	var mu sync.Mutex
	var looked []string
	nodes[0].change(func(n *bentNode) {
		n.beforeGet = func(_ context.Context, id string) error {
			mu.Lock()
			defer mu.Unlock()
			looked = append(looked, id)
			return nil
		}
	})
	nodes[0].news <- store.Change{Kind: store.ChangeMissed}
	require.Eventually(t, func() bool { mu.Lock(); defer mu.Unlock(); return len(looked) >= 2001 }, patience, time.Millisecond)
	require.Less(t, slices.Index(looked, id), 40, "among the first that are looked at at once")
}

// TestG12_ShutdownDoesNotWaitForALookAtEverything: the store is away, and the node knows many sessions.
func TestG12_ShutdownDoesNotWaitForALookAtEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes, apps := bentNodes(t, 1, bridge.Options{RevalidateEvery: bridge.Off})
		handler := apps[0].Handler(apps[0].mux)
		for range 1000 {
			pocket{}.get(t, handler, "/inc")
		}
		synctest.Wait()
		nodes[0].change(func(n *bentNode) { n.beforeGet = func(ctx context.Context, _ string) error { return silent(ctx) } })
		nodes[0].news <- store.Change{Kind: store.ChangeMissed}
		time.Sleep(time.Second)
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		require.NoError(t, apps[0].Shutdown(ctx))
		require.Less(t, time.Since(start), 10*time.Second)
	})
}

// TestG12_ShutdownDoesNotWaitForAnswersThatCannotBeSent: whoever asked has given up long since.
func TestG12_ShutdownDoesNotWaitForAnswersThatCannotBeSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes, apps := bentNodes(t, 2, bridge.Options{})
		nodes[0].change(func(n *bentNode) { n.onSend = silent })
		for range 20 {
			_, err := apps[1].Notify(t.Context(), bridge.To{All: true}, []byte("hello"))
			require.ErrorIs(t, err, bridge.ErrNodeSilent)
		}
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		require.NoError(t, apps[0].Shutdown(ctx))
		require.Less(t, time.Since(start), 12*time.Second)
	})
}

// TestG9_APartOfTheStoreStaysAwayAfterAnOutageOfAllOfIt: the connections of its sessions are closed as if that part had gone alone.
func TestG9_APartOfTheStoreStaysAwayAfterAnOutageOfAllOfIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes, apps := bentNodes(t, 1, bridge.Options{RevalidateEvery: bridge.Off})
		here := apps[0].serveInMemory(t)
		ada, bob := newBrowser(t, here), newBrowser(t, here)
		ada.ok("/inc")
		bob.ok("/inc")
		well := bob.ok("/id")
		tab, fine := ada.dial("/ws").whenClosed(), bob.dial("/ws").listen()
		synctest.Wait()
		away := time.Now()
		nodes[0].set(false, true)
		time.Sleep(10 * time.Second)
		nodes[0].change(func(n *bentNode) {
			n.beforeGet = func(ctx context.Context, id string) error {
				if id == well {
					return nil
				}
				return silent(ctx)
			}
			n.contact = func(c store.Contact) store.Contact { c.Answered = away; return c }
		})
		nodes[0].set(false, false)
		require.Equal(t, bridge.CodeUnavailable, <-tab)
		require.Less(t, time.Since(away), 45*time.Second)
		require.Equal(t, "2", fine.ask("inc"))
	})
}

// TestG9_TabsThatComeTogetherDoNotWaitForOneAnother: a store that hangs refuses all of them within its time.
func TestG9_TabsThatComeTogetherDoNotWaitForOneAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes, apps := bentNodes(t, 1, bridge.Options{StoreTimeout: time.Second})
		ada := newBrowser(t, apps[0].serveInMemory(t))
		nodes[0].change(func(n *bentNode) { n.onHold = silent })
		ada.ok("/inc")
		start := time.Now()
		var tabs []<-chan int
		for range 20 {
			tabs = append(tabs, ada.dial("/ws").whenClosed())
		}
		for i, tab := range tabs {
			require.Equal(t, bridge.CodeUnavailable, <-tab, strconv.Itoa(i))
		}
		require.Less(t, time.Since(start), 4*time.Second)
	})
}

// TestRebindFollow_AHoldThatHadToBeTriedAgain: the session that a socket has followed to has ended meanwhile.
func TestRebindFollow_AHoldThatHadToBeTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes, apps := bentNodes(t, 2, bridge.Options{Rebind: bridge.Follow, RevalidateEvery: bridge.Off, EagerClient: true})
		here, there := apps[0].serveInMemory(t), apps[1].serveInMemory(t)
		ada := newBrowser(t, here)
		ada.ok("/plain")
		tab := ada.dial("/ws").whenClosed()
		synctest.Wait()
		nodes[0].change(func(n *bentNode) { n.onHold = func(context.Context) error { return errDown } })
		ada.at(there).ok("/inc")
		id := ada.at(there).ok("/id")
		synctest.Wait()
		was, err := nodes[1].End(t.Context(), id, "", 0) // and nobody tells those who hold the client
		require.NoError(t, err)
		require.True(t, was)
		nodes[0].change(func(n *bentNode) { n.onHold = nil })
		start := time.Now()
		require.Equal(t, bridge.CodeDestroyed, <-tab)
		require.Less(t, time.Since(start), 5*time.Second)
	})
}

// TestG12_ShutdownDoesNotWaitForLooksThatHang: the store is away, and there are many sockets.
func TestG12_ShutdownDoesNotWaitForLooksThatHang(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		nodes, apps := bentNodes(t, 1, bridge.Options{TouchInterval: time.Second, RevalidateEvery: bridge.Off})
		here := apps[0].serveInMemory(t)
		var tabs []*socket
		for range 1000 {
			br := newBrowser(t, here)
			br.ok("/inc")
			tabs = append(tabs, br.dial("/ws").listen())
		}
		synctest.Wait()
		nodes[0].set(false, true)
		nodes[0].change(func(n *bentNode) { n.beforeGet = func(ctx context.Context, _ string) error { return silent(ctx) } })
		time.Sleep(6 * time.Second)
		for _, tab := range tabs {
			tab.say("id")
		}
		synctest.Wait()
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		require.NoError(t, apps[0].Shutdown(ctx))
		require.Less(t, time.Since(start), 12*time.Second)
	})
}

// cachingNode is a node with a cache that hears of nothing.
type cachingNode struct {
	*hubNode
	cached sync.Map
}

func (n *cachingNode) GetCached(ctx context.Context, id string) (store.Record, error) {
	if rec, ok := n.cached.Load(id); ok {
		return rec.(store.Record), nil //nolint:forcetypeassert // nothing else is stored
	}
	rec, err := n.Get(ctx, id)
	if err == nil {
		n.cached.Store(id, rec)
	}
	return rec, err
}

type cachingHub struct{ *hub }

func (h *cachingHub) Watch(tell func(store.Change)) store.Node {
	return &cachingNode{hubNode: h.hub.Watch(tell).(*hubNode)} //nolint:forcetypeassert // nothing else is returned
}

// TestG9_WhatIsCachedIsNotServedWhileTheStoreIsSilent: nobody could say whether the session is still there.
func TestG9_WhatIsCachedIsNotServedWhileTheStoreIsSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &cachingHub{newHub()}
		a := makeApp(t, h, &bridge.Options{CachedReads: true, TouchInterval: time.Hour, IdleTimeout: 24 * time.Hour})
		br := newBrowser(t, a.serveInMemory(t))
		br.ok("/inc")
		tab := br.dial("/ws")
		require.Equal(t, "1", tab.ask("get"))
		h.node(0).set(false, true)
		require.Equal(t, "1", tab.ask("get"))
		time.Sleep(6 * time.Second)
		require.Contains(t, tab.ask("get"), "unavailable")
	})
}

// TestG7_APartOfTheStoreThatHangsDoesNotHoldUpExpiry: neither activity that can't be recorded nor logins that nobody can be told of keep other sessions from their end.
func TestG7_APartOfTheStoreThatHangsDoesNotHoldUpExpiry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		opts := bridge.Options{IdleTimeout: time.Minute, TouchInterval: time.Second, RevalidateEvery: bridge.Off, AutoCleanup: bridge.Off}
		nodes, apps := bentNodes(t, 1, opts)
		here := apps[0].serveInMemory(t)
		ada := newBrowser(t, here)
		ada.ok("/inc")
		well := ada.ok("/id")
		tab := ada.dial("/ws").whenClosed()
		start := time.Now()
		time.Sleep(30 * time.Second)
		var others []*socket // whose sessions aren't about to end
		for range 1000 {
			br := newBrowser(t, here)
			br.ok("/inc")
			others = append(others, br.dial("/ws").listen())
		}
		time.Sleep(26 * time.Second)
		nodes[0].change(func(n *bentNode) {
			n.onAnnounce = silent
			n.beforeGet = func(ctx context.Context, id string) error {
				if id == well {
					return nil
				}
				return silent(ctx)
			}
		})
		for _, other := range others {
			other.say("id")
		}
		for range 1000 {
			newBrowser(t, here).ok("/inc")
		}
		require.Equal(t, bridge.CodeExpired, <-tab)
		require.InDelta(t, 61, time.Since(start).Seconds(), 1.5)
		nodes[0].change(func(n *bentNode) { n.beforeGet, n.onAnnounce = nil, nil })
	})
}

// TestG9_AProcessThatStoodStillKeepsItsConnections: when it goes on, it hasn't heard from the store for a minute, and will soon.
func TestG9_AProcessThatStoodStillKeepsItsConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes, apps := bentNodes(t, 1, bridge.Options{})
		br := newBrowser(t, apps[0].serveInMemory(t))
		br.ok("/inc")
		tab := br.dial("/ws").listen()
		time.Sleep(100*time.Second + 500*time.Millisecond)
		nodes[0].change(func(n *bentNode) {
			n.contact = func(c store.Contact) store.Contact {
				before := c.Answered.Add(-time.Minute)
				return store.Contact{Answered: before, Reached: before, Heard: before}
			}
		})
		time.Sleep(900 * time.Millisecond) // one look
		nodes[0].change(func(n *bentNode) { n.contact = nil })
		time.Sleep(time.Minute)
		require.Equal(t, "2", tab.ask("inc"))
	})
}
