package kept_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/kept"
	"github.com/sessionbridge/sessionbridge/store"
)

var limits = store.KeepLimits{For: time.Hour, Messages: 256, Bytes: 1 << 20}

// later runs tasks after their times, in goroutines.
func later(d time.Duration, task func()) { time.AfterFunc(d, task) }

func keep(t *testing.T, m store.Keeper, to store.KeptFor, limits store.KeepLimits, texts ...string) {
	t.Helper()
	for _, text := range texts {
		require.NoError(t, m.Keep(t.Context(), to, store.KeptMessage{Data: []byte(text)}, limits))
	}
}

func texts(t *testing.T, m store.Keeper, to store.KeptFor) (all []string) {
	t.Helper()
	log, err := m.Kept(t.Context(), to, 0)
	require.NoError(t, err)
	for _, each := range log.Messages {
		all = append(all, string(each.Data))
	}
	return all
}

// The memory for all logs is limited: those that were not used for longest give way.
func TestMemoryIsLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const most = 100_000
		m := kept.NewMemory(most, later)
		user := func(i int) store.KeptFor { return store.KeptFor{UserID: fmt.Sprint(i)} }
		for i := range 1000 {
			keep(t, m, user(i), limits, strings.Repeat("x", 1000))
			keep(t, m, user(-1), limits, fmt.Sprint(i)) // used all the time
			require.LessOrEqual(t, m.Size(), most)
		}
		require.Greater(t, m.Size(), most/2)
		require.NotEmpty(t, texts(t, m, user(999)))
		require.Empty(t, texts(t, m, user(0)))
		require.Len(t, texts(t, m, user(-1)), 256, "never forgotten")
	})
}

// A message that nobody reads leaves the memory a minute after its time at the latest, and a log that
// nobody uses after a week. Then nothing is planned any more.
func TestMemoryIsTidied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := kept.NewMemory(math.MaxInt, later)
		session, user := store.KeptFor{SessionID: "s"}, store.KeptFor{UserID: "ann"}
		keep(t, m, session, limits, "1", "2")
		m.End("s")
		require.Zero(t, m.Size())
		keep(t, m, user, limits, strings.Repeat("x", 10_000))
		require.Greater(t, m.Size(), 10_000)
		time.Sleep(limits.For + time.Minute + time.Second)
		require.Less(t, m.Size(), 1000)
		require.NotZero(t, m.Size(), "the log exists for at least a week")
		time.Sleep(8 * 24 * time.Hour)
		require.Zero(t, m.Size())
	})
}

// Numbers increase, although all messages come in one microsecond.
func TestNumbersIncrease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, to := kept.NewMemory(math.MaxInt, later), store.KeptFor{UserID: "ann"}
		keep(t, m, to, limits, "1", "2", "3")
		log, err := m.Kept(t.Context(), to, 0)
		require.NoError(t, err)
		require.EqualValues(t, time.Now().UnixMicro(), log.Messages[0].Number)
		for i, prev := 0, uint64(0); i < 3; i++ {
			require.Equal(t, prev, log.Messages[i].Prev)
			prev = log.Messages[i].Number
		}
		require.Equal(t, log.Messages[0].Number+2, log.Last)
	})
}
