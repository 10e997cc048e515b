package membership

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/background"
	"github.com/sessionbridge/sessionbridge/internal/testkit/testmain"
)

func TestMain(m *testing.M) { testmain.Run(m) }

// TestWakerCoalesces: notifications that wait are sent once.
func TestWakerCoalesces(t *testing.T) {
	w := &Waker{pending: map[notification]bool{}, running: true}
	for range 3 {
		w.Wake([]string{"a", "b"})
		w.Stored([]string{"a"}, "session")
	}
	nodes, payloads := w.next()
	require.ElementsMatch(t, []string{"a", "a", "b"}, nodes)
	require.ElementsMatch(t, []string{"", "", "ssession"}, payloads)
	require.True(t, w.running)
	nodes, _ = w.next()
	require.Empty(t, nodes)
	require.False(t, w.running)

	for i := range maxPending + 10 {
		w.pending[notification{payload: string(rune(i))}] = true
	}
	w.running = true
	w.Stored([]string{"c"}, "dropped")
	w.Wake([]string{"c"})
	require.False(t, w.pending[notification{"c", "sdropped"}])
	require.True(t, w.pending[notification{"c", ""}], "never dropped")
}

// TestWakerPausesAfterManyNotifications: a statement with few notifications is followed by the next at once.
func TestWakerPausesAfterManyNotifications(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		group := background.New()
		var sent []int
		var at []time.Duration
		began := time.Now()
		w := NewWaker(nil, group)
		more := func(n int) { // at once
			nodes := make([]string, n)
			for i := range nodes {
				nodes[i] = fmt.Sprint("node", i)
			}
			w.Stored(nodes, "session")
		}
		next := []int{1, fewNotifications, fewNotifications + 1, 1000, 1, 0}
		w.send = func(nodes, _ []string) {
			sent, at = append(sent, len(nodes)), append(at, time.Since(began))
			more(next[0])
			next = next[1:]
		}
		more(3)
		time.Sleep(time.Second)
		synctest.Wait()
		require.Equal(t, []int{3, 1, fewNotifications, fewNotifications + 1, 1000, 1}, sent)
		require.Equal(t, []time.Duration{0, 0, 0, 0, pause, 2 * pause}, at)

		next = []int{1, 0}
		more(1000)
		synctest.Wait()
		group.Close()
		require.Equal(t, time.Second, time.Since(began), "Close doesn't wait for the pause")
		require.Equal(t, []int{1000}, sent[6:])
	})
}
