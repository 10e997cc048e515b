package nodes_test

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/redistest"
	"github.com/sessionbridge/sessionbridge/internal/testkit/endtoend"
	"github.com/sessionbridge/sessionbridge/redisstore"
)

// cached starts an application as onRedis does, with CachedReads.
func cached(t *testing.T, url string, keys [][]byte) *endtoend.App {
	t.Helper()
	st, err := redisstore.Open(t.Context(), url, nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, st.Close()) })
	return endtoend.Start(t, st, &bridge.Options{Keys: keys, CachedReads: true})
}

// TestCachedReadsAskTheStoreOnce: and changes by their own process are visible at once, over a
// socket or HTTP.
func TestCachedReadsAskTheStoreOnce(t *testing.T) {
	s := redistest.Start(t)
	a := cached(t, s.URL(), [][]byte{endtoend.NewKey()})
	ada := endtoend.NewBrowser(t, a)
	ada.Get("/login?user=ada")
	tab := ada.Dial()
	require.Equal(t, "ada", tab.Ask("user"))
	s.Do("CONFIG", "RESETSTAT")
	const reads = 200
	for range reads {
		require.Equal(t, "ada", tab.Ask("user"))
	}
	var calls int
	if stat, ok := s.Info("commandstats")["cmdstat_get"]; ok {
		_, err := fmt.Sscanf(stat, "calls=%d", &calls)
		require.NoError(t, err)
	}
	require.Less(t, calls, reads/10)
	for i := range 50 {
		require.Equal(t, strconv.Itoa(2*i+1), ada.Get("/increment"))
		require.Equal(t, strconv.Itoa(2*i+1), tab.Ask("count"))
		require.Equal(t, strconv.Itoa(2*i+2), tab.Ask("increment"))
		require.Equal(t, strconv.Itoa(2*i+2), tab.Ask("count"))
	}
	ada.Get("/logout")
	require.Equal(t, bridge.CodeDestroyed, tab.Closed())
}

// TestG1_NoLostUpdateWithCachedReads: two processes that begin with cached records lose no update.
func TestG1_NoLostUpdateWithCachedReads(t *testing.T) {
	const each = 25
	s := redistest.Start(t)
	keys := [][]byte{endtoend.NewKey()}
	here, there := cached(t, s.URL(), keys), cached(t, s.URL(), keys)
	ada := endtoend.NewBrowser(t, here)
	require.Equal(t, "1", ada.Get("/increment"))
	var all sync.WaitGroup
	for _, a := range []*endtoend.App{here, there} {
		for range 2 {
			ws := ada.Another().At(a).Dial()
			all.Go(func() {
				for range each {
					ws.Ask("increment")
				}
			})
		}
	}
	all.Wait()
	require.Equal(t, strconv.Itoa(4*each+2), ada.Get("/increment"))
}

// TestG1_NoProcessKeepsLosing: four processes change one session without a pause, and each change
// is stored.
func TestG1_NoProcessKeepsLosing(t *testing.T) {
	const processes, each = 6, 200
	s := redistest.Start(t)
	keys := [][]byte{endtoend.NewKey()}
	var apps []*endtoend.App
	for range processes {
		apps = append(apps, onRedis(t, s.URL(), keys))
	}
	ada := endtoend.NewBrowser(t, apps[0])
	require.Equal(t, "1", ada.Get("/increment"))
	id := ada.Get("/id")
	var all sync.WaitGroup
	for _, a := range apps {
		all.Go(func() {
			for range each {
				err := a.Bridge.UpdateByID(t.Context(), id, func(ctx context.Context, s *bridge.Session) error {
					_, err := endtoend.Increment(ctx, s)
					return err
				})
				if err != nil {
					t.Errorf("update: %v", err)
				}
			}
		})
	}
	all.Wait()
	require.Equal(t, strconv.Itoa(processes*each+2), ada.Get("/increment"))
}
