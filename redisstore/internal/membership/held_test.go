package membership

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/store"
)

func TestHeld(t *testing.T) {
	var h held
	h.begin("a")
	require.True(t, h.has("a"), "while the call is pending")
	h.finish("a", false)
	require.False(t, h.has("a"), "the call has failed")

	h.begin("a")
	h.begin("a")
	h.finish("a", true)
	h.finish("a", false)
	require.True(t, h.has("a"), "one of two calls has succeeded")
	require.Equal(t, []string{"a"}, h.names())
	require.True(t, h.remove("a"))
	require.False(t, h.remove("a"))

	h.begin("b")
	h.remove("b")
	h.finish("b", true)
	require.False(t, h.has("b"), "it was released while the call was pending")
}

func TestNoChangeIsReportedAfterStop(t *testing.T) {
	reported := 0
	n := notifier{onChange: func(store.Change) { reported++ }}
	n.report(store.Change{})
	n.stop()
	n.report(store.Change{})
	require.Equal(t, 1, reported)
}
