package membership

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/testkit/testmain"
)

func TestMain(m *testing.M) { testmain.Run(m) }

// TestHeld: an item is held while a call is pending, and after one that has succeeded, until it is
// removed.
func TestHeld(t *testing.T) {
	var h held
	it := item{kindSession, "a"}
	h.begin(it)
	require.True(t, h.has(it), "changes may arrive before the reply")
	h.finish(it, false)
	require.False(t, h.has(it))

	h.begin(it)
	h.begin(it)
	h.finish(it, true)
	h.finish(it, false)
	require.True(t, h.has(it))
	require.Equal(t, []item{it}, h.all())
	require.False(t, h.has(item{kindClient, "a"}))

	h.begin(it)
	require.True(t, h.remove(it))
	require.False(t, h.remove(it))
	h.finish(it, true)
	require.False(t, h.has(it), "it was released meanwhile")
}

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
