package filestore_test

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/filestore"
	"github.com/sessionbridge/sessionbridge/store"
)

// What the file store of koa-io-session does wrong (its fault 14): one torn last line makes the whole store unreadable; nothing is ever synced;
// a cleanup among many sessions drops writes that were acknowledged, and stalls the process meanwhile.

// TestKoaFault14_TornTailKeepsNothingFromOpening: there, one line that wasn't finished makes every request fail with a 500. Here, whatever
// stands behind the last change that was acknowledged, all that were are there, and the store goes on.
func TestKoaFault14_TornTailKeepsNothingFromOpening(t *testing.T) {
	t.Parallel()
	live := filepath.Join(filestore.MemoryDir(t), "sessions.db")
	st := open(t, live, &filestore.Options{CheckpointEvery: time.Hour})
	for i := range 40 {
		set(t, st, record(i))
	}
	_, err := st.Destroy(t.Context(), sessionID(7))
	require.NoError(t, err)
	last := record(40)
	last.Data = []byte(`{"text":"` + strings.Repeat("x", 3000) + `"}`)
	set(t, st, last)
	groups := logGroups(t, live)
	tail := groups[len(groups)-1] // the change that is about to be torn: nobody was told that it is stored
	log, err := os.ReadFile(tail.file)
	require.NoError(t, err)
	noise := make([]byte, tail.size+100)
	for i := range noise {
		noise[i] = byte(rand.Uint32())
	}
	half := tail.offset + tail.size/2
	first := groups[0]
	for name, torn := range map[string][]byte{
		"cut off in the header":           log[:tail.offset+10],
		"cut off after the header":        log[:tail.offset+48],
		"cut off in the middle":           log[:half],
		"cut off before the last byte":    log[:tail.offset+tail.size-9], // up to 8 of them are there to align the next
		"nothing behind the header":       join(log[:tail.offset+48], make([]byte, tail.size)),
		"nothing behind the middle":       join(log[:half], make([]byte, tail.size)),
		"nothing before the middle":       join(log[:tail.offset], make([]byte, half-tail.offset), log[half:]),
		"noise behind the middle":         join(log[:half], noise),
		"noise instead of it":             join(log[:tail.offset], noise),
		"text instead of it":              join(log[:tail.offset], []byte("{\"sid\":\"abc\",\"session\":{\"user\":\"ad")),
		"the log's first change again":    join(log[:tail.offset], log[first.offset:first.offset+first.size]),
		"the log's first changes instead": join(log[:tail.offset], log[:half]),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := leftBehind(t, live)
			require.NoError(t, os.WriteFile(path+strings.TrimPrefix(tail.file, live), torn, 0o600))
			for range 2 { // a tail that was cut off doesn't come back
				path = opensWithEverything(t, path, last)
			}
		})
	}
}

// opensWithEverything opens the store, looks whether everything is there, the last one perhaps, and changes something. It returns what is left
// when the process is killed then.
func opensWithEverything(t *testing.T, path string, last store.Record) string {
	t.Helper()
	st := open(t, path, &filestore.Options{CheckpointEvery: time.Hour})
	for i := range 40 {
		rec, err := st.Get(t.Context(), sessionID(i))
		if i == 7 {
			require.ErrorIs(t, err, store.ErrNotFound)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, record(i).Data, rec.Data)
	}
	rec, err := st.Get(t.Context(), last.ID)
	if !errors.Is(err, store.ErrNotFound) { // half of it there must not be
		require.NoError(t, err)
		require.Equal(t, last.Data, rec.Data)
	}
	other := record(41)
	rec, err = st.Get(t.Context(), other.ID)
	if !errors.Is(err, store.ErrNotFound) {
		require.NoError(t, err, "the log goes on behind the cut")
	}
	other.Revision = rec.Revision
	require.Equal(t, rec.Revision+1, mustSet(t, st, other))
	return leftBehind(t, path)
}

func join(parts ...[]byte) (all []byte) {
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

// TestKoaFault14_AcknowledgedIsThereAfterAnEndWithoutClose: there, what was acknowledged is somewhere in the process for a while. Here it
// is in the files, wherever checkpoints and turns of the log have been by then. (That it is on the disk too, not only in the system's cache,
// is what the crash tests are for: their disk loses what wasn't synced.)
func TestKoaFault14_AcknowledgedIsThereAfterAnEndWithoutClose(t *testing.T) {
	t.Parallel()
	const writers, each = 16, 40
	live := filepath.Join(filestore.MemoryDir(t), "sessions.db")
	// The log turns often, in the midst of it all; after that, nothing but an hour makes a checkpoint.
	st := open(t, live, &filestore.Options{LogSize: 1 << 20, CheckpointEvery: time.Hour})
	stored := make([]map[string]store.Record, writers) // what was acknowledged, by writer
	inParallel(writers, func(w int) {
		stored[w] = map[string]store.Record{}
		for i := range each {
			rec := record(w*each + i)
			rec.Data = []byte(`{"text":"` + strings.Repeat("x", 500) + `"}`)
			for range i % 3 {
				rec.Revision, rec.Writes = mustSet(t, st, rec), rec.Writes+1
			}
			rec.Revision = mustSet(t, st, rec)
			stored[w][rec.ID] = rec
			if i%4 != 3 {
				continue
			}
			existed, err := st.Destroy(t.Context(), rec.ID)
			if err != nil || !existed {
				t.Errorf("destroy: %v, %v", existed, err)
			}
			stored[w][rec.ID] = store.Record{}
		}
	})
	require.False(t, t.Failed())
	require.NoError(t, st.Optimize(t.Context())) // waits for a checkpoint that is under way
	for w := range writers {                     // and what comes now is in the log only
		rec := record(w * each)
		rec = stored[w][rec.ID]
		rec.Data = []byte(`{"late":true}`)
		rec.Revision = mustSet(t, st, rec)
		stored[w][rec.ID] = rec
	}

	again := open(t, leftBehind(t, live), nil)
	for w := range writers {
		for id, want := range stored[w] {
			got, err := again.Get(t.Context(), id)
			if want.ID == "" {
				require.ErrorIs(t, err, store.ErrNotFound, "it was destroyed")
				continue
			}
			require.NoError(t, err)
			require.Equal(t, want.Revision, got.Revision)
			require.Equal(t, want.Writes, got.Writes)
			require.Equal(t, want.Data, got.Data)
		}
	}
}

// mustSet is for goroutines of a test.
func mustSet(t *testing.T, st store.Store, rec store.Record) uint64 {
	revision, err := st.Set(t.Context(), rec)
	if err != nil {
		t.Errorf("set: %v", err)
	}
	return revision
}
