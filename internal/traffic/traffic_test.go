package traffic_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/traffic"
)

func TestTrafficIsWhatWasCountedAndNotTakenBack(t *testing.T) {
	var c traffic.Counter
	require.Zero(t, c.Read())
	c.Count(10)
	c.Count(5)
	c.Count(0)
	c.Count(-3)
	require.Equal(t, traffic.Traffic{Messages: 4, Bytes: 15}, c.Read())
	c.Uncount(5)
	c.Uncount(-3)
	require.Equal(t, traffic.Traffic{Messages: 2, Bytes: 10}, c.Read())
}
