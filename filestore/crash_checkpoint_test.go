package filestore

import (
	"errors"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/store"
)

// TestChangesFindTheirSessionWhileItGoesIntoTheDatabase: at no moment of a checkpoint is a session in neither place. Each
// round has many apps leave the log, one after the other, while others ask for changes that can only be refused.
func TestChangesFindTheirSessionWhileItGoesIntoTheDatabase(t *testing.T) {
	opts := smallOptions()
	st, err := Open(filepath.Join(fastDir(t), storeName), &opts)
	require.NoError(t, err)
	defer st.Close()
	apps := make([]store.Store, 300)
	for i := range apps {
		apps[i] = st.App(strconv.Itoa(i))
	}
	for round := range 15 {
		var wg sync.WaitGroup
		answers := make(chan error, len(apps))
		for i := range apps {
			wg.Go(func() {
				_, err := apps[i].Set(t.Context(), store.Record{ID: "a", Data: []byte("{}"), Revision: uint64(round)})
				answers <- err
			})
		}
		wg.Wait()
		for range apps {
			require.NoError(t, <-answers)
		}
		flushed := make(chan struct{})
		wg.Go(func() {
			defer close(flushed)
			answers <- st.engine.flush(t.Context(), false)
		})
		for range 4 {
			wg.Go(func() { answers <- conflictUntil(t, flushed, apps) })
		}
		wg.Wait()
		for range 5 {
			require.NoError(t, <-answers)
		}
	}
}

// conflictUntil asks for changes that conflict, and returns what else a store has answered.
func conflictUntil(t *testing.T, done chan struct{}, apps []store.Store) error {
	for i := 0; ; i++ {
		select {
		case <-done:
			return nil
		default:
		}
		if _, err := apps[i%len(apps)].Set(t.Context(), store.Record{ID: "a", Revision: 1000}); !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
}
