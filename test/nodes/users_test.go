package nodes_test

import (
	"context"
	"errors"
	"iter"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/testhub"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/store"
)

// meeting is a hub in which concurrent reads of a user's sessions wait for each other.
type meeting struct {
	*testhub.Hub
	mu   sync.Mutex
	wait int // how many reads go on together; 0: they don't wait
	all  chan struct{}
}

func (m *meeting) ByUser(ctx context.Context, userID string) iter.Seq2[store.Record, error] {
	m.mu.Lock()
	if m.wait > 0 {
		if m.wait--; m.wait == 0 {
			close(m.all)
		}
	}
	all := m.all
	m.mu.Unlock()
	<-all
	return m.Hub.ByUser(ctx, userID)
}

// TestLoginsOnTwoNodesAtOnceDontEndEachOther: the session of one of them stays.
func TestLoginsOnTwoNodesAtOnceDontEndEachOther(t *testing.T) {
	t.Parallel()
	m := &meeting{Hub: testhub.New(), wait: 2, all: make(chan struct{})}
	opts := &bridge.Options{MaxSessionsPerUser: 1, Keys: [][]byte{slices.Repeat([]byte("k"), 32)}}
	var running sync.WaitGroup
	for range 2 {
		br := webclient.NewBrowser(t, testkit.NewApp(t, m, opts).Serve(t))
		running.Go(func() { br.Get("/login?user=ada") })
	}
	running.Wait()
	left := 0
	for _, err := range m.Hub.ByUser(t.Context(), "ada") {
		require.NoError(t, err)
		left++
	}
	require.Equal(t, 1, left)
}

// TestG9_ASecondPartOfTheStoreThatGoesSilent: it is detected like the first one.
func TestG9_ASecondPartOfTheStoreThatGoesSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes, apps := bentNodes(t, 1, bridge.Options{RevalidateEvery: bridge.Off})
		here := apps[0].ServeInMemory(t)
		ada, bob := webclient.NewBrowser(t, here), webclient.NewBrowser(t, here)
		ada.OK("/inc")
		bob.OK("/inc")
		first := ada.OK("/id")
		tab, later := ada.Dial("/ws").WhenClosed(), bob.Dial("/ws").WhenClosed()
		synctest.Wait()
		away := time.Now()
		nodes[0].Change(func(n *testhub.BentNode) {
			n.OnContact = func(c store.Contact) store.Contact { c.Answered = away; return c }
			n.BeforeGet = func(ctx context.Context, id string) error {
				if id == first {
					return testhub.Silent(ctx)
				}
				return nil
			}
		})
		require.Equal(t, bridge.CodeUnavailable, <-tab)
		time.Sleep(time.Minute)
		require.Equal(t, 1, apps[0].Stats().Conns)
		nodes[0].Change(func(n *testhub.BentNode) {
			n.BeforeGet = func(ctx context.Context, _ string) error { return testhub.Silent(ctx) }
		})
		start := time.Now()
		require.Equal(t, bridge.CodeUnavailable, <-later)
		require.Less(t, time.Since(start), 80*time.Second)
		nodes[0].Change(func(n *testhub.BentNode) { n.BeforeGet = nil })
	})
}

// losingNode loses the locks on users.
type losingNode struct{ *testhub.Node }

var errLockLost = errors.New("the lock was lost for a time")

func (n *losingNode) LockUser(ctx context.Context, userID string) (func(context.Context) error, error) {
	unlock, err := n.Node.LockUser(ctx, userID)
	return func(ctx context.Context) error { return errors.Join(errLockLost, unlock(ctx)) }, err
}

type losingHub struct{ *testhub.Hub }

func (h *losingHub) Watch(tell func(store.Change)) store.Node {
	return &losingNode{h.Hub.Watch(tell).(*testhub.Node)} //nolint:forcetypeassert // nothing else is returned
}

// TestDestroyUserSaysThatItMayHaveMissedALogin: its caller gets an error.
func TestDestroyUserSaysThatItMayHaveMissedALogin(t *testing.T) {
	a := testkit.NewApp(t, &losingHub{testhub.New()}, &bridge.Options{})
	ada := webclient.NewBrowser(t, a.Serve(t))
	ada.OK("/login?user=ada")
	n, err := a.DestroyUser(t.Context(), "ada")
	require.Equal(t, 1, n)
	require.ErrorIs(t, err, errLockLost)
}
