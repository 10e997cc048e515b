package livestore_test

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/livestore"
)

type modelItem struct {
	key int64
	id  string
}

func compareModel(a, b modelItem) int {
	return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.id, b.id))
}

// TestOrderMatchesModel compares an order with a sorted slice, through phases of growth and shrinking, with few keys, many
// equal, and with keys in all places or at the end.
func TestOrderMatchesModel(t *testing.T) {
	for _, keys := range []int64{1, 5, 1 << 40} {
		t.Run(fmt.Sprintf("keys=%d", keys), func(t *testing.T) {
			var o livestore.Order
			var model []modelItem
			random := rand.New(rand.NewPCG(1, uint64(keys)))
			for step := range 20_000 {
				grow := step/2500%2 == 0
				if len(model) == 0 || random.IntN(100) < 20 || grow {
					it := modelItem{random.Int64N(keys), fmt.Sprint(random.Uint64())}
					if step%3 == 0 {
						it.key = int64(step)
					}
					at, _ := slices.BinarySearchFunc(model, it, compareModel)
					model = slices.Insert(model, at, it)
					o.Insert(it.key, it.id)
				} else {
					at := random.IntN(len(model))
					o.Remove(model[at].key, model[at].id)
					model = slices.Delete(model, at, at+1)
				}
				if len(model) > 0 {
					require.Equal(t, model[0].id, o.First())
				}
				if step%500 == 0 {
					requireModel(t, model, o.Snapshot(math.MinInt64)())
				}
			}
			for _, it := range model {
				o.Remove(it.key, it.id)
			}
			require.Zero(t, o.Blocks(), "nothing remains of an empty order")
		})
	}
}

func requireModel(t *testing.T, model []modelItem, newestFirst []string) {
	t.Helper()
	require.Len(t, newestFirst, len(model))
	for i, it := range model {
		require.Equal(t, it.id, newestFirst[len(model)-1-i])
	}
}

// TestSnapshotNeverChanges: an iteration reads its snapshot without a lock.
func TestSnapshotNeverChanges(t *testing.T) {
	var o livestore.Order
	for i := range int64(1000) {
		o.Insert(i, fmt.Sprint(i))
	}
	snapshot := o.Snapshot(500)
	want := snapshot()
	require.Len(t, want, 500)
	require.Equal(t, "999", want[0])
	for i := range int64(1000) {
		o.Remove(i, fmt.Sprint(i))
		o.Insert(1000-i, fmt.Sprint(i))
		o.Insert(5000+i, fmt.Sprint(5000+i))
	}
	require.Equal(t, want, snapshot())
}

// TestOrderStaysDense: sessions that leave old places for new ones must not leave blocks behind that are nearly empty.
func TestOrderStaysDense(t *testing.T) {
	var o livestore.Order
	const n = 10_000
	for i := range int64(n) {
		o.Insert(i, fmt.Sprint(i))
	}
	for i := range int64(n) {
		if i%50 > 0 {
			o.Remove(i, fmt.Sprint(i))
		}
	}
	require.LessOrEqual(t, o.Blocks(), 10, "200 items, 10,000 before")
}
