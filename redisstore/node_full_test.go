package redisstore_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/redistest"
)

// TestMessagesToABlockedNodeAreBounded: unread messages to a process that hangs must not fill the
// memory of Redis.
func TestMessagesToABlockedNodeAreBounded(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "maxmemory 64mb")
	s := &site{T: t, servers: []*redistest.Server{server}, url: server.URL(), shards: 1, timeout: patience} // for 220 MiB
	a, b := s.node(), s.node()
	b.stall()
	message := make([]byte, 1<<20)
	require.NoError(t, a.Send(t.Context(), names(b), []byte("first")))
	<-b.stalled
	for range 200 {
		require.NoError(t, a.Send(t.Context(), names(b), message))
	}
	rec := a.set(newRecord())
	require.NoError(t, a.Announce(t.Context(), rec.ClientID, rec.ID))
	b.resume()
	last := func() string {
		changes := b.told()
		if len(changes) == 0 {
			return ""
		}
		return string(changes[len(changes)-1].Data)
	}
	require.Eventually(t, func() bool { // once the node has read them, it receives new messages
		require.NoError(t, a.Send(t.Context(), names(b), []byte("next")))
		return last() == "next"
	}, patience, tick)
	for i := range 20 { // more than the limit, but read; what was read before may still count for a moment
		message[0] = byte('a' + i)
		require.Eventually(t, func() bool {
			require.NoError(t, a.Send(t.Context(), names(b), message))
			return last() == string(message)
		}, patience, tick)
	}
}
