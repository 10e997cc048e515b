package terms

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestHeld: an item is held while a call is pending, and after one that has succeeded, until it is
// removed.
func TestHeld(t *testing.T) {
	var h Held[string]
	h.Begin("a")
	require.True(t, h.Has("a"), "changes may arrive before the reply")
	h.Finish("a", false)
	require.False(t, h.Has("a"), "the call has failed")

	h.Begin("a")
	h.Begin("a")
	h.Finish("a", true)
	h.Finish("a", false)
	require.True(t, h.Has("a"), "one of two calls has succeeded")
	require.Equal(t, []string{"a"}, h.All())
	require.False(t, h.Has("b"))
	require.True(t, h.Remove("a"))
	require.False(t, h.Remove("a"))

	h.Begin("b")
	require.True(t, h.Remove("b"))
	h.Finish("b", true)
	require.False(t, h.Has("b"), "it was released while the call was pending")
}
