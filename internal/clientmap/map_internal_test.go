package clientmap

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// check fails unless the map's parts agree with one another.
func (m *Map) check(t *testing.T) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	require.Len(t, m.bySession, len(m.ring.sessions))
	for i, s := range m.ring.sessions {
		require.Equal(t, i, s.place)
		require.Same(t, s, m.bySession[s.id])
	}
	for client, id := range m.byClient {
		require.Contains(t, m.bySession, id)
		require.Equal(t, client, m.bySession[id].clientID)
	}
}

func noneBusy(string) bool { return false }

func TestKnownSessionsAreBounded(t *testing.T) {
	const most, comeAndGo = 1000, 50_000
	m := New(most, noneBusy)
	for i := range comeAndGo {
		require.True(t, m.Attach(fmt.Sprint("c", i), fmt.Sprint("s", i), true))
		require.LessOrEqual(t, m.Len(), most)
	}
	m.check(t)
	require.GreaterOrEqual(t, m.Len(), most*7/8)
	_, known := m.SessionOf("c0")
	require.False(t, known)
	id, known := m.SessionOf(fmt.Sprint("c", comeAndGo-1))
	require.True(t, known, "the newest stays")
	require.Equal(t, fmt.Sprint("s", comeAndGo-1), id)
	require.Less(t, cap(m.ring.sessions), 2*most)
}

func TestKnownSessionsThatAreUsedStay(t *testing.T) {
	const most = 1000
	m := New(most, noneBusy)
	for i := range 100 {
		m.Attach(fmt.Sprint("regular", i), fmt.Sprint("r", i), true)
	}
	for i := range 20 * most {
		m.Attach(fmt.Sprint("c", i), fmt.Sprint("s", i), true)
		if i%500 == 0 {
			for n := range 100 {
				require.True(t, m.Refresh(fmt.Sprint("regular", n), fmt.Sprint("r", n)), "after %d others", i)
			}
		}
	}
	m.check(t)
	require.LessOrEqual(t, m.Len(), most)
}

func TestKnownSessionsWithConnectionsStay(t *testing.T) {
	const most = 1000
	busy := map[string]bool{}
	m := New(most, func(id string) bool { return busy[id] })
	for i := range 3 * most {
		id := fmt.Sprint("b", i)
		busy[id] = true
		m.Attach("of "+id, id, true)
	}
	require.Equal(t, 3*most, m.Len(), "all have connections")
	for i := range 10 * most {
		m.Attach(fmt.Sprint("c", i), fmt.Sprint("s", i), true)
	}
	for id := range busy {
		require.True(t, m.Attached(id))
	}
	require.Less(t, m.Len(), 3*most+most/2, "the others don't pile up beside them")
	clear(busy)
	for i := range 3 * most {
		m.Attach(fmt.Sprint("d", i), fmt.Sprint("t", i), true)
	}
	require.LessOrEqual(t, m.Len(), most, "when their connections have gone, so may they")
	m.check(t)
}

func TestKnownSessionsWithoutALimitAllStay(t *testing.T) {
	m := New(0, noneBusy)
	for i := range 5000 {
		m.Attach(fmt.Sprint("c", i), fmt.Sprint("s", i), true)
	}
	require.Equal(t, 5000, m.Len())
}

// TestKnownSessionsAgree: the two directions and the ring agree after concurrent use.
func TestKnownSessionsAgree(t *testing.T) {
	m := New(50, func(id string) bool { return id == "s7" })
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 20_000 {
				client, id := fmt.Sprint("c", rand.IntN(20)), fmt.Sprint("s", rand.IntN(200))
				switch rand.IntN(6) {
				case 0:
					m.Detach(id)
				case 1:
					m.Refresh(client, id)
				case 2:
					m.CountRead(id, time.Time{})
				case 3:
					m.SessionOf(client)
				default:
					m.Attach(client, id, rand.IntN(2) == 0)
				}
			}
		})
	}
	all.Wait()
	m.check(t)
	require.LessOrEqual(t, m.Len(), 51)
}
