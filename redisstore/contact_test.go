package redisstore_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/redistest"
)

// TestContactIsMonotonic: setting the clock forward must not make a server look unresponsive, nor
// setting it back make an unresponsive one look alive.
func TestContactIsMonotonic(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := &site{T: t, servers: []*redistest.Server{server}, url: server.URL(), shards: 4}
	c := s.node().Contact()
	for _, at := range []time.Time{c.Answered, c.Reached, c.Heard} {
		require.NotEqual(t, at.Round(0), at, "which has no monotonic reading") //nolint:testifylint // Equal would not tell
	}
}
