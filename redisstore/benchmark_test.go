package redisstore_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/redistest"
	"github.com/sessionbridge/sessionbridge/redisstore"
)

const inFlight = 64

// each calls do for 0 … n-1, with 64 concurrent calls.
func each(b *testing.B, n int, do func(i int) error) {
	b.Helper()
	var next atomic.Int64
	b.ReportAllocs()
	b.ResetTimer()
	inParallel(inFlight, func(int) {
		for i := int(next.Add(1) - 1); i < n; i = int(next.Add(1) - 1) {
			if err := do(i); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.StopTimer()
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "ops/s")
}

func openForBenchmark(b *testing.B) (*redistest.Server, *redisstore.Store) {
	b.Helper()
	s := redistest.Start(b)
	return s, open(b, s.URL(), nil)
}

func BenchmarkCreate(b *testing.B) {
	_, st := openForBenchmark(b)
	now := time.Now()
	each(b, b.N, func(i int) error {
		_, err := st.Set(b.Context(), sample(i, now))
		return err
	})
}

func BenchmarkGet(b *testing.B) {
	_, st := openForBenchmark(b)
	recs := fill(b, st, 20_000)
	each(b, b.N, func(i int) error {
		_, err := st.Get(b.Context(), recs[i*7919%len(recs)].ID)
		return err
	})
}

// BenchmarkSet updates sessions, each once in 20,000 iterations.
func BenchmarkSet(b *testing.B) {
	_, st := openForBenchmark(b)
	recs := fill(b, st, 20_000)
	each(b, b.N, func(i int) error {
		rec := recs[i%len(recs)]
		rec.Revision += uint64(i / len(recs)) //nolint:gosec // small
		_, err := st.Set(b.Context(), rec)
		return err
	})
}

// BenchmarkTouch moves sessions by a minute, so that they move in the index by activity.
func BenchmarkTouch(b *testing.B) {
	_, st := openForBenchmark(b)
	recs := fill(b, st, 20_000)
	each(b, b.N, func(i int) error {
		rec := recs[i%len(recs)]
		return st.Touch(b.Context(), rec.ID, rec.Seen.Add(time.Duration(i/len(recs)+1)*time.Minute))
	})
}

func BenchmarkDestroy(b *testing.B) {
	_, st := openForBenchmark(b)
	recs := fill(b, st, b.N)
	each(b, b.N, func(i int) error {
		_, err := st.Destroy(b.Context(), recs[i].ID)
		return err
	})
}

// BenchmarkSweep removes b.N expired sessions among 2*b.N, 1000 at a time.
func BenchmarkSweep(b *testing.B) {
	_, st := openForBenchmark(b)
	fill(b, st, 2*b.N)
	now := time.Now().Add(12 * time.Hour) // half of the sessions have expired by then
	b.ResetTimer()
	removed := 0
	for {
		some, err := st.Sweep(b.Context(), now, 1000)
		if err != nil {
			b.Fatal(err)
		}
		if removed += len(some); len(some) < 1000 {
			break
		}
	}
	b.ReportMetric(float64(removed)/b.Elapsed().Seconds(), "ops/s")
}
