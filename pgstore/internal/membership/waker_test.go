package membership

import (
	"testing"

	"github.com/stretchr/testify/require"

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
