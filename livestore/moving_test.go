package livestore_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
)

// TestARecordThatChangesItsUserIsAlwaysListed: a listing of the former user and then one of the new
// user have the record between them, whenever it changes.
func TestARecordThatChangesItsUserIsAlwaysListed(t *testing.T) {
	st := livestore.New()
	const rounds, movers = 100, 64
	listed := func(user string) (n int) {
		for _, err := range st.ByUser(t.Context(), user) {
			require.NoError(t, err)
			n++
		}
		return n
	}
	for round := range rounds {
		before, after := fmt.Sprint("before ", round), fmt.Sprint("after ", round)
		var moving sync.WaitGroup
		begin := make(chan struct{})
		for i := range movers {
			rec := store.Record{ID: fmt.Sprint(round, "-", i), UserID: before}
			revision, err := st.Set(t.Context(), rec)
			require.NoError(t, err)
			rec.Revision, rec.UserID = revision, after
			moving.Go(func() {
				<-begin
				if _, err := st.Set(t.Context(), rec); err != nil {
					t.Error(err)
				}
			})
		}
		close(begin)
		left, found := movers, 0
		for found < movers && left+found >= movers {
			left = listed(before)
			found = listed(after)
		}
		moving.Wait()
		require.GreaterOrEqual(t, left+found, movers)
	}
}
