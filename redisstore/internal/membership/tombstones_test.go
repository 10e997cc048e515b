package membership

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTombstones(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var all tombstones
		require.Empty(t, all.unknownTo("first"))
		all.add("a", "logout", time.Now())
		all.add("b", "", time.Now())
		require.Empty(t, all.unknownTo("first"), "the server that has acknowledged them")
		all.remove("b") // created again
		require.Len(t, all.unknownTo("second"), 1)
		require.Equal(t, "logout", all.unknownTo("second")["a"].reason)
		all.knownTo("second")
		require.Empty(t, all.unknownTo("second"))

		time.Sleep(tombstoneAge + time.Second)
		all.add("c", "", time.Now())
		require.Len(t, all.list, 1, "every server knows older ones")
		for i := range 2 * maxTombstones {
			all.add(fmt.Sprint(i), "", time.Time{})
		}
		require.Len(t, all.list, maxTombstones)
		require.Len(t, all.order, maxTombstones)
	})
}

// TestTombstoneOfASessionThatWasCreatedAgain: an older tombstone that is dropped leaves the later
// one.
func TestTombstoneOfASessionThatWasCreatedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var all tombstones
		all.add("a", "first", time.Now())
		all.remove("a")
		time.Sleep(tombstoneAge + time.Second)
		all.add("a", "second", time.Time{})
		all.add("b", "", time.Now())
		require.Equal(t, "second", all.list["a"].reason)
	})
}
