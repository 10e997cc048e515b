package filestore_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/filestore"
	"github.com/sessionbridge/sessionbridge/store"
)

// TestSweepInTheOrderOfExpiry, whatever the index says: sessions that were active are in it with an earlier time, some in the
// database, some in the log only.
func TestSweepInTheOrderOfExpiry(t *testing.T) {
	st := open(t, inMemory(t), &filestore.Options{LogSize: 1 << 20, CheckpointEvery: 100 * time.Millisecond})
	recs := fill(t, st, 3000)
	for round := range 3 {
		for i := range recs {
			if rand.IntN(3) == 0 {
				seen := recs[i].Seen.Add(time.Duration(rand.IntN(3600)) * time.Second)
				require.NoError(t, st.Touch(t.Context(), recs[i].ID, seen))
			}
		}
		if round == 0 {
			require.NoError(t, st.Optimize(t.Context()))
		}
	}
	var expiries []time.Time
	for rec, err := range st.List(t.Context()) {
		require.NoError(t, err)
		expiries = append(expiries, rec.Expires)
	}
	slices.SortFunc(expiries, time.Time.Compare)
	var swept []time.Time
	now := expiries[2499]
	for {
		n := 1 + rand.IntN(200)
		gone, err := st.Sweep(t.Context(), now, n)
		require.NoError(t, err)
		for _, rec := range gone {
			swept = append(swept, rec.Expires)
		}
		if len(gone) < n {
			break
		}
	}
	require.Equal(t, expiries[:len(swept)], swept)
	require.True(t, expiries[len(swept)].After(now))
}

// TestActivityAcrossMinutes: the order is exact though the index knows minutes only, before 1970 and at no time too.
func TestActivityAcrossMinutes(t *testing.T) {
	st := open(t, inMemory(t), nil)
	var want []store.Record
	for i, seen := range []time.Time{
		start, start.Add(time.Millisecond), start.Add(59 * time.Second), start.Add(time.Minute), start.Add(61 * time.Second), start.Add(time.Hour),
		time.Unix(0, 0), time.Unix(-1, 0), time.Unix(-100, 0), time.Unix(30, 0),
		{},
	} {
		rec := sample(i)
		rec.Seen = seen
		want = append(want, rec)
	}
	slices.SortFunc(want, func(a, b store.Record) int { return b.Seen.Compare(a.Seen) })
	half := rand.Perm(len(want))
	check := func() {
		for i, since := range want {
			n := 0
			for rec, err := range st.ActiveSince(t.Context(), since.Seen) {
				require.NoError(t, err)
				require.Equal(t, want[n].ID, rec.ID)
				n++
			}
			require.Equal(t, i+1, n)
		}
	}
	for _, i := range half[:len(half)/2] {
		create(t, st, want[i])
	}
	require.NoError(t, st.Optimize(t.Context())) // these are in the database now
	for _, i := range half[len(half)/2:] {
		create(t, st, want[i])
	}
	check()
	require.NoError(t, st.Optimize(t.Context()))
	check()
}
