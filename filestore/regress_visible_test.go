package filestore

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/store"
)

// A session that Get shows was missed by ByUser for a moment: it was published before it was in the index.
func TestRegressVisibleButNotIndexed(t *testing.T) {
	t.Parallel() // on files of its own, which it waits for
	st, err := Open(fastDir(t)+"/s.db", &Options{SyncEvery: time.Hour})
	require.NoError(t, err)
	var missed atomic.Int64
	stop, done := make(chan struct{}), make(chan struct{}, 64)
	var next atomic.Int64
	for range 32 {
		go func() {
			defer func() { done <- struct{}{} }()
			for {
				select {
				case <-stop:
					return
				default:
				}
				id := fmt.Sprint(next.Add(1))
				_, _ = st.Set(t.Context(), store.Record{ID: id, UserID: "u" + id})
			}
		}()
	}
	for end := time.Now().Add(time.Second); time.Now().Before(end) && missed.Load() == 0; {
		id := fmt.Sprint(next.Load())
		for range 1000 {
			if _, err := st.Get(t.Context(), id); errors.Is(err, store.ErrNotFound) {
				continue
			}
			n := 0
			for _, err := range st.ByUser(t.Context(), "u"+id) {
				if err != nil {
					t.Error(err)
				}
				n++
			}
			if n == 0 {
				missed.Add(1)
			}
			break
		}
	}
	close(stop)
	for range 32 {
		<-done
	}
	require.NoError(t, st.Close())
	require.Zero(t, missed.Load())
}
