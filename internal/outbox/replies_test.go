package outbox_test

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/outbox"
)

func TestRepliesKeepTheirOrderUntilTheRunIsOver(t *testing.T) {
	var r outbox.Replies[string]
	first, second := &outbox.Message{Data: []byte("1")}, &outbox.Message{Data: []byte("2")}
	require.NoError(t, r.Reply(first))
	require.NoError(t, r.Notify("a"))
	require.NoError(t, r.Reply(second))
	require.NoError(t, r.Notify("b"))
	r.Close()
	require.ErrorContains(t, r.Reply(first), "after the function for the message has returned")
	require.ErrorContains(t, r.Notify("c"), "after the function for the message has returned")
	messages, notices := r.All()
	require.Equal(t, []*outbox.Message{first, second}, messages)
	require.Equal(t, []string{"a", "b"}, notices)
}

func TestRepliesOfNoRunAreAnError(t *testing.T) {
	var r *outbox.Replies[string]
	require.ErrorContains(t, r.Reply(&outbox.Message{}), "bridgetest.Handle")
	require.ErrorContains(t, r.Notify("a"), "bridgetest.Handle")
}

func TestRepliesMayBeAddedConcurrently(t *testing.T) {
	var r outbox.Replies[int]
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() { _ = r.Notify(i) })
	}
	all.Wait()
	r.Close()
	_, notices := r.All()
	require.Len(t, notices, 50)
}
