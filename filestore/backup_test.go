package filestore_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/filestore"
)

// TestBackupIsAStore: of what was stored before the call, while others go on.
func TestBackupIsAStore(t *testing.T) {
	path := inMemory(t)
	st := open(t, path, nil)
	recs := fill(t, st, 3000)
	ctx, stop := context.WithCancel(t.Context())
	busy := make(chan struct{})
	go func() {
		defer close(busy)
		for i := 0; ctx.Err() == nil; i++ {
			rec := sample(10_000 + i)
			if _, err := st.Set(t.Context(), rec); err != nil {
				return
			}
			if _, err := st.Destroy(t.Context(), rec.ID); err != nil {
				return
			}
		}
	}()
	var backup bytes.Buffer
	n, err := st.Backup(t.Context(), &backup)
	stop()
	<-busy
	require.NoError(t, err)
	require.EqualValues(t, backup.Len(), n)
	require.NoFileExists(t, path+".new")

	restored := inMemory(t)
	require.NoError(t, os.WriteFile(restored, backup.Bytes(), 0o600))
	report, err := filestore.Check(restored)
	require.NoError(t, err)
	require.True(t, report.OK(), report)
	again := open(t, restored, nil)
	for _, want := range recs {
		got, err := again.Get(t.Context(), want.ID)
		require.NoError(t, err)
		require.Equal(t, want.Revision, got.Revision)
	}
	requireSame(t, st, recs...)
}

type failingWriter struct{ err error }

func (w failingWriter) Write([]byte) (int, error) { return 0, w.err }

func TestBackupThatCannotBeWritten(t *testing.T) {
	path := inMemory(t)
	st := open(t, path, nil)
	recs := create(t, st, sample(1))
	full := errors.New("the tape is full")
	_, err := st.Backup(t.Context(), failingWriter{full})
	require.ErrorIs(t, err, full)
	gone, cancel := context.WithCancelCause(t.Context())
	cancel(full)
	_, err = st.Backup(gone, failingWriter{nil})
	require.ErrorIs(t, err, full)
	require.NoFileExists(t, path+".new")
	requireSame(t, st, append(recs, create(t, st, sample(2))...)...)
}

func TestOptimizeGivesSpaceBack(t *testing.T) {
	t.Parallel() // on files of its own, which it waits for
	path := inMemory(t)
	st := open(t, path, nil)
	recs := fill(t, st, 8000)
	for _, rec := range recs[500:] {
		_, err := st.Destroy(t.Context(), rec.ID)
		require.NoError(t, err)
	}
	recs = recs[:500]
	require.NoError(t, st.Optimize(t.Context()))
	require.Less(t, diskSpace(t, path), int64(1<<20))
	requireSame(t, st, recs...)
	recs = append(recs, create(t, st, sample(9000))...)
	requireSame(t, open(t, leftBehind(t, path), nil), recs...)
	require.NoError(t, st.Close())
	requireSame(t, open(t, path, nil), recs...)
}

func diskSpace(t *testing.T, path string) (total int64) {
	t.Helper()
	for _, suffix := range []string{"", ".wal.0", ".wal.1"} {
		info, err := os.Stat(path + suffix)
		require.NoError(t, err)
		total += info.Size()
	}
	return total
}

// TestOptimizeWhileOthersWork: nobody notices.
func TestOptimizeWhileOthersWork(t *testing.T) {
	st := open(t, inMemory(t), &filestore.Options{LogSize: 4 << 20})
	recs := fill(t, st, 2000)
	ctx, stop := context.WithCancel(t.Context())
	failures := make(chan error, 8)
	for writer := range 8 {
		go func() {
			share := recs[len(recs)*writer/8 : len(recs)*(writer+1)/8]
			var failure error
			for i := 0; failure == nil && ctx.Err() == nil; i++ {
				rec := &share[i%len(share)]
				if rec.Revision, failure = st.Set(context.WithoutCancel(ctx), *rec); failure == nil {
					_, failure = st.Get(context.WithoutCancel(ctx), rec.ID)
				}
			}
			failures <- failure
		}()
	}
	for range 5 {
		require.NoError(t, st.Optimize(t.Context()))
	}
	stop()
	for range 8 {
		require.NoError(t, <-failures)
	}
	requireSame(t, st, recs...)
}
