package nodes_test

import (
	"bytes"
	"maps"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
)

// keyOrders are the keys of two nodes at each step of a rotation, and between the steps.
func keyOrders() [][2][][]byte {
	old, next := bytes.Repeat([]byte("o"), 32), bytes.Repeat([]byte("n"), 32)
	steps := [][][]byte{{old}, {old, next}, {next, old}, {next}}
	var orders [][2][][]byte
	for i := range len(steps) - 1 {
		orders = append(orders, [2][][]byte{steps[i], steps[i]}, [2][][]byte{steps[i+1], steps[i]}, [2][][]byte{steps[i+1], steps[i+1]})
	}
	return orders
}

// keyNodes are two nodes whose keys a test sets.
func keyNodes(t *testing.T) (apps []*testkit.App, handlers [2]http.Handler) {
	t.Helper()
	_, apps = testkit.NewNodes(t, 2, bridge.Options{RenewEvery: time.Minute})
	for i, a := range apps {
		handlers[i] = a.Handler(a.Mux)
	}
	return apps, handlers
}

// A browser that meets both nodes in turn, with logins, rotations and renewals, keeps its session
// through every step of a rotation, also while the nodes have the keys in different orders.
func TestKeysAreReplacedOnRunningNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		apps, h := keyNodes(t)
		visitor := webclient.Pocket{}
		id := ""
		for _, keys := range keyOrders() {
			for i, a := range apps {
				require.NoError(t, a.SetKeys(keys[i]))
			}
			for round := range 8 {
				now := visitor.Get(t, h[round%2], "/id").Body.String()
				if id == "" {
					visitor.Get(t, h[round%2], "/inc")
					id = visitor.Get(t, h[round%2], "/id").Body.String()
					continue
				}
				require.Equal(t, id, now)
				path := []string{"/get", "/rotate", "/login?user=ada", "/get"}[round/2]
				require.Equal(t, http.StatusOK, visitor.Get(t, h[round%2], path).Code, path)
				time.Sleep(40 * time.Second)
			}
		}
	})
}

// While two nodes have the keys in different orders, a renewal whose response is lost is repeated
// by the other node, and brings the same token.
func TestRenewalIsRepeatedUnderKeysInAnotherOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		apps, h := keyNodes(t)
		for i, keys := range keyOrders()[4] {
			require.NoError(t, apps[i].SetKeys(keys))
		}
		visitor := webclient.Pocket{}
		visitor.Get(t, h[0], "/inc")
		time.Sleep(time.Minute)
		lost := maps.Clone(visitor)
		lost.Get(t, h[0], "/get")
		require.NotEqual(t, visitor["sid"], lost["sid"])
		time.Sleep(20 * time.Second)
		require.Equal(t, "1", visitor.Get(t, h[1], "/get").Body.String())
		for _, p := range []webclient.Pocket{visitor, lost} {
			require.Equal(t, "1", p.Get(t, h[0], "/get").Body.String())
		}
	})
}

// A double click brings the login to two nodes at once, which have the keys in different orders.
func TestLoginTwiceUnderKeysInAnotherOrder(t *testing.T) {
	apps, h := keyNodes(t)
	for i, keys := range keyOrders()[4] {
		require.NoError(t, apps[i].SetKeys(keys))
	}
	for range 20 {
		visitor := webclient.Pocket{}
		visitor.Get(t, h[0], "/inc")
		both := [2]webclient.Pocket{maps.Clone(visitor), maps.Clone(visitor)}
		var clicks sync.WaitGroup
		for i := range both {
			clicks.Go(func() {
				if w := both[i].Get(t, h[i], "/login?user=ada"); w.Code != http.StatusOK {
					t.Errorf("%d: %s", w.Code, w.Body)
				}
			})
		}
		clicks.Wait()
		for i := range both {
			require.Equal(t, "1", both[i].Get(t, h[1-i], "/get").Body.String())
		}
	}
}
