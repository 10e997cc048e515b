package livestore_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
)

var start = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)

// sample returns the nth record: 300 bytes of data, logged in, seen n ms before start.
func sample(n int) store.Record {
	return store.Record{
		ID:              fmt.Sprintf("%08x-0000-4000-8000-%012x", n, n),
		TokenGeneration: 1,
		ClientID:        fmt.Sprintf("%08x-0000-4000-9000-%012x", n, n),
		UserID:          fmt.Sprintf("user-%d", n/2),
		Data:            []byte(`{"cart":"` + strings.Repeat("x", 289) + `"}`),
		Created:         start.Add(-24 * time.Hour),
		Seen:            start.Add(-time.Duration(n) * time.Millisecond),
		Expires:         start.Add(24*time.Hour + time.Duration(n)*time.Millisecond),
		Idle:            24 * time.Hour,
	}
}

func fill(tb testing.TB, n int) (*livestore.Store, []store.Record) {
	tb.Helper()
	st := livestore.New()
	recs := make([]store.Record, n)
	for i := range recs {
		recs[i] = sample(i)
		revision, err := st.Set(tb.Context(), recs[i])
		if err != nil {
			tb.Fatal(err)
		}
		recs[i].Revision = revision
	}
	return st, recs
}

func sizes(b *testing.B, run func(b *testing.B, st *livestore.Store, recs []store.Record)) {
	for _, n := range []int{1000, 500_000} {
		b.Run(fmt.Sprintf("sessions=%d", n), func(b *testing.B) {
			st, recs := fill(b, n)
			runtime.GC()
			b.ReportAllocs()
			b.ResetTimer()
			run(b, st, recs)
		})
	}
}

func BenchmarkGet(b *testing.B) {
	sizes(b, func(b *testing.B, st *livestore.Store, recs []store.Record) {
		i := 0
		for b.Loop() {
			if _, err := st.Get(b.Context(), recs[i*7919%len(recs)].ID); err != nil {
				b.Fatal(err)
			}
			i++
		}
	})
}

func BenchmarkGetParallel(b *testing.B) {
	sizes(b, func(b *testing.B, st *livestore.Store, recs []store.Record) {
		ctx := b.Context()
		b.RunParallel(func(pb *testing.PB) {
			for i := 0; pb.Next(); i++ {
				if _, err := st.Get(ctx, recs[i*7919%len(recs)].ID); err != nil {
					b.Error(err)
				}
			}
		})
	})
}

// BenchmarkSet updates sessions in random order: each Set moves Seen and Expires.
func BenchmarkSet(b *testing.B) {
	sizes(b, func(b *testing.B, st *livestore.Store, recs []store.Record) {
		i := 0
		for b.Loop() {
			rec := &recs[i*7919%len(recs)]
			rec.Seen = start.Add(time.Duration(i) * time.Millisecond)
			rec.Expires = rec.Seen.Add(25 * time.Hour)
			revision, err := st.Set(b.Context(), *rec)
			if err != nil {
				b.Fatal(err)
			}
			rec.Revision = revision
			i++
		}
	})
}

func BenchmarkTouch(b *testing.B) {
	sizes(b, func(b *testing.B, st *livestore.Store, recs []store.Record) {
		i := 0
		for b.Loop() {
			seen := start.Add(time.Duration(i+1) * time.Millisecond)
			if err := st.Touch(b.Context(), recs[i*7919%len(recs)].ID, seen); err != nil {
				b.Fatal(err)
			}
			i++
		}
	})
}

func BenchmarkCreateDestroy(b *testing.B) {
	sizes(b, func(b *testing.B, st *livestore.Store, recs []store.Record) {
		fresh := sample(len(recs))
		for b.Loop() {
			if _, err := st.Set(b.Context(), fresh); err != nil {
				b.Fatal(err)
			}
			if _, err := st.Destroy(b.Context(), fresh.ID); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkSweep removes 50,000 of 500,000 sessions, 1,000 at a time.
func BenchmarkSweep(b *testing.B) {
	const total, due, piece = 500_000, 50_000, 1000
	st, recs := fill(b, total)
	now := start.Add(24*time.Hour + (due-1)*time.Millisecond)
	for b.Loop() {
		for range due / piece {
			if gone, err := st.Sweep(b.Context(), now, piece); err != nil || len(gone) != piece {
				b.Fatal(len(gone), err)
			}
		}
		b.StopTimer()
		for _, rec := range recs[:due] {
			rec.Revision = 0
			if _, err := st.Set(b.Context(), rec); err != nil {
				b.Fatal(err)
			}
		}
		b.StartTimer()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/due, "ns/session")
}

// BenchmarkActiveSince reads the first 100 of 500,000 active sessions.
func BenchmarkActiveSince(b *testing.B) {
	st, _ := fill(b, 500_000)
	for b.Loop() {
		n := 0
		for _, err := range st.ActiveSince(b.Context(), time.Time{}) {
			if err != nil {
				b.Fatal(err)
			}
			if n++; n == 100 {
				break
			}
		}
	}
}

// BenchmarkMemory reports the heap memory of a session, including its 300 bytes of data.
func BenchmarkMemory(b *testing.B) {
	const n = 200_000
	for b.Loop() {
		before := heap()
		st := livestore.New()
		for i := range n {
			if _, err := st.Set(b.Context(), sample(i)); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(heap()-before)/n, "B/session")
		runtime.KeepAlive(st)
	}
}

func heap() uint64 {
	var stats runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

// BenchmarkStall updates single sessions during sweeps and listings of half a million sessions, and
// reports the longest delay.
func BenchmarkStall(b *testing.B) {
	st, recs := fill(b, 500_000)
	runtime.GC()
	done := make(chan struct{})
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		for i := 0; ; i++ {
			select {
			case <-done:
				return
			default:
			}
			_, _ = st.Sweep(b.Context(), start.Add(24*time.Hour+time.Duration(i)*time.Second), 1000)
			for _, err := range st.ActiveSince(b.Context(), time.Time{}) {
				if err != nil {
					b.Error(err)
				}
				break
			}
		}
	}()
	var longest, over time.Duration
	i := len(recs) - 1
	for b.Loop() {
		before := time.Now()
		_ = st.Touch(b.Context(), recs[i].ID, start.Add(time.Duration(len(recs)-i)*time.Microsecond))
		took := time.Since(before)
		longest = max(longest, took)
		if took > time.Millisecond {
			over++
		}
		if i--; i < 0 {
			i = len(recs) - 1
		}
	}
	close(done)
	<-finished
	b.ReportMetric(float64(longest.Microseconds()), "longest-µs")
	b.ReportMetric(float64(over)/float64(b.N)*1e6, "over-1ms/million")
}
