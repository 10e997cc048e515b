package redisstore_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/redistest"
)

// TestContactIsMonotonic: a clock that is set forward doesn't make a server look silent, so that
// connections are given up, nor one that is set back a dead one alive.
func TestContactIsMonotonic(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := &site{T: t, servers: []*redistest.Server{server}, url: server.URL(), shards: 4}
	c := s.node().Contact()
	for _, at := range []time.Time{c.Answered, c.Reached, c.Heard} {
		require.NotEqual(t, at.Round(0), at, "which has no monotonic reading") //nolint:testifylint // Equal would not tell
	}
}
