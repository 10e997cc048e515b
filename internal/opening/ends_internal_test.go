package opening

import (
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestEndsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var e ends
		began := time.Now()
		time.Sleep(time.Second)
		e.add("first")
		for n := range rememberedEnds {
			require.Equal(t, n < rememberedEnds, e.since("first", began))
			e.add(strconv.Itoa(n))
			e.add(strconv.Itoa(n)) // counts once
		}
		require.False(t, e.since("first", began))
		require.True(t, e.since("0", began))
		require.False(t, e.since("0", time.Now()), "it had ended before the request began")
		require.Len(t, e.at, rememberedEnds)
	})
}
