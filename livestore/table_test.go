package livestore_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/livestore"
)

// TestTableMatchesModel compares a table with a map while it grows and shrinks. Pairs of users have
// the same hash.
func TestTableMatchesModel(t *testing.T) {
	var table livestore.Table
	model := map[string][]string{}
	users := make([]string, 300)
	hashes := map[string]uint32{}
	random := rand.New(rand.NewPCG(1, 1))
	for i := range users {
		users[i] = fmt.Sprint("user-", i)
		hashes[users[i]] = uint32(i / 2 * 2654435761)
	}
	total := 0
	for step := range 20_000 {
		user := users[random.IntN(len(users))]
		growing := step/2500%2 == 0
		switch here := model[user]; {
		case growing && (len(here) == 0 || random.IntN(10) > 0):
			id := fmt.Sprint(step)
			table.Insert(id, user, hashes[user])
			model[user] = append(here, id)
			total++
		case len(here) > 0:
			at := random.IntN(len(here))
			table.Remove(here[at])
			model[user] = slices.Delete(here, at, at+1)
			total--
		}
		require.ElementsMatch(t, model[user], table.Find(user, hashes[user]))
		if step%100 == 0 {
			buckets, entries := table.Size()
			require.Equal(t, total, entries)
			require.GreaterOrEqual(t, buckets, total, "no bucket is long")
			require.LessOrEqual(t, buckets, 2*total+8, "the memory of removed entries is released")
		}
	}
}

func TestNth(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	for _, span := range []int64{1, 3, 100, 1 << 40} {
		for range 100 {
			keys := make([]int64, 1+random.IntN(500))
			for i := range keys {
				keys[i] = random.Int64N(span)
			}
			sorted := slices.Sorted(slices.Values(keys))
			n := random.IntN(len(keys))
			require.Equal(t, sorted[n], livestore.Nth(keys, n))
		}
	}
}
