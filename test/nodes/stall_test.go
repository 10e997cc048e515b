package nodes_test

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
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/await"
	"github.com/sessionbridge/sessionbridge/internal/testkit/testhub"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/store"
)

// bentNodes is makeNodes with nodes that can be bent.
func bentNodes(t testing.TB, n int, opts bridge.Options) (nodes []*testhub.BentNode, apps []*testkit.App) {
	t.Helper()
	h := &testhub.Bent{Hub: testhub.New(), Bend: func(n *testhub.BentNode) { nodes = append(nodes, n) }}
	opts.Keys = [][]byte{slices.Repeat([]byte("k"), 32)}
	for range n {
		apps = append(apps, testkit.NewApp(t, h, &opts))
	}
	return nodes, apps
}

// TestG12_APartOfTheStoreThatHangsDoesNotHoldUpEnds: a notification of a session's end waits for no
// read of other sessions.
func TestG12_APartOfTheStoreThatHangsDoesNotHoldUpEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes, apps := bentNodes(t, 2, bridge.Options{TouchInterval: time.Second, RevalidateEvery: bridge.Off})
		here, there := apps[0].ServeInMemory(t), apps[1].ServeInMemory(t)
		ada := webclient.NewBrowser(t, here)
		ada.OK("/inc")
		well := ada.OK("/id")
		tab := ada.Dial("/ws").WhenClosed()
		var others []*webclient.Socket
		for range 200 {
			br := webclient.NewBrowser(t, here)
			br.OK("/inc")
			others = append(others, br.Dial("/ws").Listen())
		}
		synctest.Wait()
		nodes[0].Change(func(n *testhub.BentNode) {
			n.BeforeGet = func(ctx context.Context, id string) error {
				if id == well {
					return nil
				}
				return testhub.Silent(ctx)
			}
		})
		time.Sleep(2 * time.Second)
		for _, other := range others { // their activity is due to be recorded
			other.Say("id")
		}
		synctest.Wait()
		ada.At(there).OK("/logout")
		start := time.Now()
		require.Equal(t, bridge.CodeDestroyed, <-tab)
		require.Less(t, time.Since(start), time.Second)
		nodes[0].Change(func(n *testhub.BentNode) { n.BeforeGet = nil })
	})
}

// TestG7_HoldsThatHangDoNotHoldUpExpiry: holds and expiries have separate workers.
func TestG7_HoldsThatHangDoNotHoldUpExpiry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		nodes, apps := bentNodes(t, 1, bridge.Options{IdleTimeout: time.Minute, TouchInterval: time.Second, RevalidateEvery: bridge.Off, AutoCleanup: bridge.Off})
		here := apps[0].ServeInMemory(t)
		ada := webclient.NewBrowser(t, here)
		ada.OK("/inc")
		tab := ada.Dial("/ws").WhenClosed()
		start := time.Now()
		time.Sleep(55 * time.Second)
		nodes[0].Change(func(n *testhub.BentNode) { n.OnHold = testhub.Silent })
		for range 1000 {
			webclient.NewBrowser(t, here).OK("/inc")
		}
		require.Equal(t, bridge.CodeExpired, <-tab)
		require.InDelta(t, 61, time.Since(start).Seconds(), 1.5)
	})
}

// TestG4_SessionsWithSocketsAreLookedAtFirst: after a node was cut off, sessions that only requests
// use can wait.
func TestG4_SessionsWithSocketsAreLookedAtFirst(t *testing.T) {
	t.Parallel()
	nodes, apps := bentNodes(t, 1, bridge.Options{RevalidateEvery: bridge.Off})
	handler := apps[0].Handler(apps[0].Mux)
	for range 2000 {
		webclient.Pocket{}.Get(t, handler, "/inc")
	}
	ada := webclient.NewBrowser(t, apps[0].Serve(t))
	ada.OK("/inc")
	id := ada.OK("/id")
	ada.Dial("/ws").Ask("id")
	require.Eventually(t, func() bool { _, clients := nodes[0].Holds(); return clients == 2001 }, await.Limit, time.Millisecond)
	var mu sync.Mutex
	var looked []string
	nodes[0].Change(func(n *testhub.BentNode) {
		n.BeforeGet = func(_ context.Context, id string) error {
			mu.Lock()
			defer mu.Unlock()
			looked = append(looked, id)
			return nil
		}
	})
	nodes[0].Tell(store.Change{Kind: store.ChangeMissed})
	require.Eventually(t, func() bool { mu.Lock(); defer mu.Unlock(); return len(looked) >= 2001 }, await.Limit, time.Millisecond)
	require.Less(t, slices.Index(looked, id), 40, "among the first that are looked at at once")
}

// TestG12_ShutdownDoesNotWaitForALookAtEverything: the store is away, and the node knows many
// sessions.
func TestG12_ShutdownDoesNotWaitForALookAtEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes, apps := bentNodes(t, 1, bridge.Options{RevalidateEvery: bridge.Off})
		handler := apps[0].Handler(apps[0].Mux)
		for range 1000 {
			webclient.Pocket{}.Get(t, handler, "/inc")
		}
		synctest.Wait()
		nodes[0].Change(func(n *testhub.BentNode) {
			n.BeforeGet = func(ctx context.Context, _ string) error { return testhub.Silent(ctx) }
		})
		nodes[0].Tell(store.Change{Kind: store.ChangeMissed})
		time.Sleep(time.Second)
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		require.NoError(t, apps[0].Shutdown(ctx))
		require.Less(t, time.Since(start), 10*time.Second)
	})
}

// TestG12_ShutdownDoesNotWaitForAnswersThatCannotBeSent: the nodes that asked have given up long
// before.
func TestG12_ShutdownDoesNotWaitForAnswersThatCannotBeSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes, apps := bentNodes(t, 2, bridge.Options{})
		nodes[0].Change(func(n *testhub.BentNode) { n.OnSend = testhub.Silent })
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

// TestG9_APartOfTheStoreStaysAwayAfterAnOutageOfAllOfIt: the connections of its sessions are closed
// as if that part had gone alone.
func TestG9_APartOfTheStoreStaysAwayAfterAnOutageOfAllOfIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes, apps := bentNodes(t, 1, bridge.Options{RevalidateEvery: bridge.Off})
		here := apps[0].ServeInMemory(t)
		ada, bob := webclient.NewBrowser(t, here), webclient.NewBrowser(t, here)
		ada.OK("/inc")
		bob.OK("/inc")
		well := bob.OK("/id")
		tab, fine := ada.Dial("/ws").WhenClosed(), bob.Dial("/ws").Listen()
		synctest.Wait()
		away := time.Now()
		nodes[0].SetNetwork(false, true)
		time.Sleep(10 * time.Second)
		nodes[0].Change(func(n *testhub.BentNode) {
			n.BeforeGet = func(ctx context.Context, id string) error {
				if id == well {
					return nil
				}
				return testhub.Silent(ctx)
			}
			n.OnContact = func(c store.Contact) store.Contact { c.Answered = away; return c }
		})
		nodes[0].SetNetwork(false, false)
		require.Equal(t, bridge.CodeUnavailable, <-tab)
		require.Less(t, time.Since(away), 45*time.Second)
		require.Equal(t, "2", fine.Ask("inc"))
	})
}

// TestG9_TabsThatComeTogetherDoNotWaitForOneAnother: if the store hangs, all of them are refused
// within StoreTimeout.
func TestG9_TabsThatComeTogetherDoNotWaitForOneAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes, apps := bentNodes(t, 1, bridge.Options{StoreTimeout: time.Second})
		ada := webclient.NewBrowser(t, apps[0].ServeInMemory(t))
		nodes[0].Change(func(n *testhub.BentNode) { n.OnHold = testhub.Silent })
		ada.OK("/inc")
		start := time.Now()
		var tabs []<-chan int
		for range 20 {
			tabs = append(tabs, ada.Dial("/ws").WhenClosed())
		}
		for i, tab := range tabs {
			require.Equal(t, bridge.CodeUnavailable, <-tab, strconv.Itoa(i))
		}
		require.Less(t, time.Since(start), 4*time.Second)
	})
}

// TestRebindFollow_AHoldThatHadToBeTriedAgain: the session that a socket has followed to has ended
// meanwhile.
func TestRebindFollow_AHoldThatHadToBeTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes, apps := bentNodes(t, 2, bridge.Options{Rebind: bridge.Follow, RevalidateEvery: bridge.Off, EagerClient: true})
		here, there := apps[0].ServeInMemory(t), apps[1].ServeInMemory(t)
		ada := webclient.NewBrowser(t, here)
		ada.OK("/plain")
		tab := ada.Dial("/ws").WhenClosed()
		synctest.Wait()
		nodes[0].Change(func(n *testhub.BentNode) { n.OnHold = func(context.Context) error { return testhub.ErrDown } })
		ada.At(there).OK("/inc")
		id := ada.At(there).OK("/id")
		synctest.Wait()
		was, err := nodes[1].End(t.Context(), id, "", 0) // without a notification for the holders of the client
		require.NoError(t, err)
		require.True(t, was)
		nodes[0].Change(func(n *testhub.BentNode) { n.OnHold = nil })
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
		here := apps[0].ServeInMemory(t)
		var tabs []*webclient.Socket
		for range 1000 {
			br := webclient.NewBrowser(t, here)
			br.OK("/inc")
			tabs = append(tabs, br.Dial("/ws").Listen())
		}
		synctest.Wait()
		nodes[0].SetNetwork(false, true)
		nodes[0].Change(func(n *testhub.BentNode) {
			n.BeforeGet = func(ctx context.Context, _ string) error { return testhub.Silent(ctx) }
		})
		time.Sleep(6 * time.Second)
		for _, tab := range tabs {
			tab.Say("id")
		}
		synctest.Wait()
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		require.NoError(t, apps[0].Shutdown(ctx))
		require.Less(t, time.Since(start), 12*time.Second)
	})
}

// cachingNode is a node with a cache that is never invalidated.
type cachingNode struct {
	*testhub.Node
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

type cachingHub struct{ *testhub.Hub }

func (h *cachingHub) Watch(tell func(store.Change)) store.Node {
	return &cachingNode{Node: h.Hub.Watch(tell).(*testhub.Node)} //nolint:forcetypeassert // nothing else is returned
}

// TestG9_WhatIsCachedIsNotServedWhileTheStoreIsSilent: the session can't be confirmed.
func TestG9_WhatIsCachedIsNotServedWhileTheStoreIsSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &cachingHub{testhub.New()}
		a := testkit.NewApp(t, h, &bridge.Options{CachedReads: true, TouchInterval: time.Hour, IdleTimeout: 24 * time.Hour})
		br := webclient.NewBrowser(t, a.ServeInMemory(t))
		br.OK("/inc")
		tab := br.Dial("/ws")
		require.Equal(t, "1", tab.Ask("get"))
		h.Node(0).SetNetwork(false, true)
		require.Equal(t, "1", tab.Ask("get"))
		time.Sleep(6 * time.Second)
		require.Contains(t, tab.Ask("get"), "unavailable")
	})
}

// TestG7_APartOfTheStoreThatHangsDoesNotHoldUpExpiry: neither activity that can't be recorded nor
// logins that can't be announced delay the end of other sessions.
func TestG7_APartOfTheStoreThatHangsDoesNotHoldUpExpiry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		opts := bridge.Options{IdleTimeout: time.Minute, TouchInterval: time.Second, RevalidateEvery: bridge.Off, AutoCleanup: bridge.Off}
		nodes, apps := bentNodes(t, 1, opts)
		here := apps[0].ServeInMemory(t)
		ada := webclient.NewBrowser(t, here)
		ada.OK("/inc")
		well := ada.OK("/id")
		tab := ada.Dial("/ws").WhenClosed()
		start := time.Now()
		time.Sleep(30 * time.Second)
		var others []*webclient.Socket // whose sessions aren't about to end
		for range 1000 {
			br := webclient.NewBrowser(t, here)
			br.OK("/inc")
			others = append(others, br.Dial("/ws").Listen())
		}
		time.Sleep(26 * time.Second)
		nodes[0].Change(func(n *testhub.BentNode) {
			n.OnAnnounce = testhub.Silent
			n.BeforeGet = func(ctx context.Context, id string) error {
				if id == well {
					return nil
				}
				return testhub.Silent(ctx)
			}
		})
		for _, other := range others {
			other.Say("id")
		}
		for range 1000 {
			webclient.NewBrowser(t, here).OK("/inc")
		}
		require.Equal(t, bridge.CodeExpired, <-tab)
		require.InDelta(t, 61, time.Since(start).Seconds(), 1.5)
		nodes[0].Change(func(n *testhub.BentNode) { n.BeforeGet, n.OnAnnounce = nil, nil })
	})
}

// TestG9_AProcessThatStoodStillKeepsItsConnections: when it goes on, the store last answered a
// minute ago, and answers again soon.
func TestG9_AProcessThatStoodStillKeepsItsConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes, apps := bentNodes(t, 1, bridge.Options{})
		br := webclient.NewBrowser(t, apps[0].ServeInMemory(t))
		br.OK("/inc")
		tab := br.Dial("/ws").Listen()
		time.Sleep(100*time.Second + 500*time.Millisecond)
		nodes[0].Change(func(n *testhub.BentNode) {
			n.OnContact = func(c store.Contact) store.Contact {
				before := c.Answered.Add(-time.Minute)
				return store.Contact{Answered: before, Reached: before, Heard: before}
			}
		})
		time.Sleep(900 * time.Millisecond) // one look
		nodes[0].Change(func(n *testhub.BentNode) { n.OnContact = nil })
		time.Sleep(time.Minute)
		require.Equal(t, "2", tab.Ask("inc"))
	})
}
