package filestore_test

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/sessionbridge/sessionbridge/filestore"
	"github.com/sessionbridge/sessionbridge/store"
)

var start = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)

// sample returns the nth record: 300 bytes of data, logged in.
func sample(n int) store.Record {
	id := uuid.NewSHA1(uuid.Nil, fmt.Append(nil, n)).String()
	return store.Record{
		ID:              id,
		TokenGeneration: 1,
		ClientID:        uuid.NewSHA1(uuid.Nil, []byte(id)).String(),
		UserID:          fmt.Sprintf("user-%d", n/2),
		Data:            []byte(`{"cart":"` + strings.Repeat("x", 289) + `"}`),
		Created:         start.Add(-24 * time.Hour),
		Seen:            start.Add(time.Duration(n) * time.Millisecond),
		Expires:         start.Add(24*time.Hour + time.Duration(n)*time.Millisecond),
		Idle:            24 * time.Hour,
	}
}

// fill creates n sessions, with many writers at a time.
func fill(tb testing.TB, st *filestore.Store, n int) []store.Record {
	tb.Helper()
	recs := make([]store.Record, n)
	inParallel(256, func(writer int) {
		for i := writer; i < n; i += 256 {
			recs[i] = sample(i)
			revision, err := st.Set(tb.Context(), recs[i])
			if err != nil {
				tb.Error(err)
				return
			}
			recs[i].Revision = revision
		}
	})
	if tb.Failed() {
		tb.FailNow()
	}
	return recs
}

func inParallel(n int, do func(i int)) {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { do(i) })
	}
	all.Wait()
}

func openForBenchmark(b *testing.B) *filestore.Store {
	b.Helper()
	st, err := filestore.Open(filepath.Join(b.TempDir(), "sessions.db"), nil)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := st.Close(); err != nil {
			b.Error(err)
		}
	})
	return st
}

// BenchmarkSet updates random sessions among 100,000. Each Set is synced before it returns.
func BenchmarkSet(b *testing.B) {
	for _, writers := range []int{1, 8, 64, 512} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			st := openForBenchmark(b)
			recs := fill(b, st, 100_000)
			var left atomic.Int64
			left.Store(int64(b.N))
			b.ReportAllocs()
			b.ResetTimer()
			inParallel(writers, func(writer int) {
				share := recs[len(recs)*writer/writers : len(recs)*(writer+1)/writers]
				for left.Add(-1) >= 0 {
					rec := &share[rand.IntN(len(share))]
					revision, err := st.Set(b.Context(), *rec)
					if err != nil {
						b.Error(err)
						return
					}
					rec.Revision = revision
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "sets/s")
		})
	}
}

// BenchmarkGet reads random sessions from the database.
func BenchmarkGet(b *testing.B) {
	for _, n := range []int{1000, 300_000} {
		b.Run(fmt.Sprintf("sessions=%d", n), func(b *testing.B) {
			st := openForBenchmark(b)
			recs := fill(b, st, n)
			if err := st.Optimize(b.Context()); err != nil { // nothing is left in an overlay
				b.Fatal(err)
			}
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				if _, err := st.Get(b.Context(), recs[rand.IntN(n)].ID); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
