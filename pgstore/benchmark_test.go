package pgstore_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/pgstore"
	"github.com/sessionbridge/sessionbridge/store"
)

// benchmark runs do for sessions of about 300 bytes, one at a time and 64 at once, on a server that
// doesn't sync.
func benchmark(b *testing.B, do func(ctx context.Context, st *pgstore.Store, rec *store.Record) error) {
	b.Helper()
	const sessions = 2000
	st := fresh(b)
	recs := make([]store.Record, sessions)
	for i := range recs {
		recs[i] = create(b, st, func(rec *store.Record) { rec.Data = []byte(`{"a":"` + strings.Repeat("x", 290) + `"}`) })
	}
	b.Run("1 at a time", func(b *testing.B) {
		for i := range b.N {
			require.NoError(b, do(b.Context(), st, &recs[i%sessions]))
		}
	})
	b.Run("64 at once", func(b *testing.B) {
		var next atomic.Int64
		b.SetParallelism(32) // for each of two processors
		b.RunParallel(func(pb *testing.PB) {
			worker := int(next.Add(1)) - 1 // has sessions of its own
			for i := 0; pb.Next(); i++ {
				if err := do(b.Context(), st, &recs[(worker+64*i)%(sessions/64*64)]); err != nil {
					b.Error(err)
				}
			}
		})
	})
}

func BenchmarkGet(b *testing.B) {
	benchmark(b, func(ctx context.Context, st *pgstore.Store, rec *store.Record) error {
		_, err := st.Get(ctx, rec.ID)
		return err
	})
}

func BenchmarkSet(b *testing.B) {
	benchmark(b, func(ctx context.Context, st *pgstore.Store, rec *store.Record) (err error) {
		rec.Revision, err = st.Set(ctx, *rec)
		return err
	})
}

func BenchmarkTouch(b *testing.B) {
	benchmark(b, func(ctx context.Context, st *pgstore.Store, rec *store.Record) error {
		return st.Touch(ctx, rec.ID, time.Now())
	})
}
