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

func compareItems(a, b livestore.OrderItem) int {
	return cmp.Or(cmp.Compare(a.Key, b.Key), cmp.Compare(a.ID, b.ID))
}

// TestOrderMatchesModel compares an order with a sorted slice while it grows and shrinks, with few
// keys, with many equal ones, and with keys at random places or at the end.
func TestOrderMatchesModel(t *testing.T) {
	for _, keys := range []int64{1, 5, 1 << 40} {
		t.Run(fmt.Sprintf("keys=%d", keys), func(t *testing.T) {
			var o livestore.Order
			var model []livestore.OrderItem
			random := rand.New(rand.NewPCG(1, uint64(keys)))
			drop := func(it livestore.OrderItem) {
				at, found := slices.BinarySearchFunc(model, it, compareItems)
				require.True(t, found)
				model = slices.Delete(model, at, at+1)
			}
			for step := range 20_000 {
				grow := step/2500%2 == 0
				switch {
				case len(model) == 0 || random.IntN(100) < 20 || grow:
					it := livestore.OrderItem{Key: random.Int64N(keys), ID: fmt.Sprint(random.Uint64())}
					if step%3 == 0 {
						it.Key = int64(step)
					}
					at, _ := slices.BinarySearchFunc(model, it, compareItems)
					model = slices.Insert(model, at, it)
					o.Insert(it.Key, it.ID)
				case step%5 == 0:
					first := o.FirstKey()
					drop(livestore.OrderItem{Key: first, ID: o.PopFirst()})
				default:
					it := model[random.IntN(len(model))]
					o.Remove(it.Key, it.ID)
					drop(it)
				}
				if len(model) > 0 {
					require.Equal(t, model[0].Key, o.FirstKey())
				}
				if step%500 == 0 {
					requireModel(t, model, &o)
				}
			}
			for _, it := range model {
				o.Remove(it.Key, it.ID)
			}
			require.Zero(t, o.Blocks(), "an empty order has no blocks")
			require.Equal(t, int64(math.MaxInt64), o.FirstKey())
		})
	}
}

func requireModel(t *testing.T, model []livestore.OrderItem, o *livestore.Order) {
	t.Helper()
	items := o.Snapshot(math.MinInt64)()
	slices.Reverse(items)
	require.True(t, slices.IsSortedFunc(items, func(a, b livestore.OrderItem) int { return cmp.Compare(a.Key, b.Key) }))
	slices.SortFunc(items, compareItems) // the order among equal keys is unspecified
	require.True(t, slices.Equal(model, items))

	if len(model) == 0 {
		return
	}
	n := min(len(model), 100)
	limit := model[n-1].Key
	keys := o.FirstKeys(limit, n)
	require.Len(t, keys, n)
	for i, key := range keys {
		require.Equal(t, model[i].Key, key)
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
	require.Equal(t, livestore.OrderItem{Key: 999, ID: "999"}, want[0])
	for i := range int64(1000) {
		o.Remove(i, fmt.Sprint(i))
		o.Insert(1000-i, fmt.Sprint(i))
		o.Insert(5000+i, fmt.Sprint(5000+i))
	}
	require.Equal(t, want, snapshot())
}

// TestOrderStaysDense: sessions that move must not leave blocks behind that are nearly empty.
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
