package sealed_test

import (
	"bytes"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
)

// The difference between plain and sealed is the cost on top of a store, for a session with 300
// bytes of values.
func BenchmarkGet(b *testing.B) {
	compare(b, func(b *testing.B, st store.Store, rec store.Record) {
		for b.Loop() {
			if _, err := st.Get(b.Context(), rec.ID); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkSet(b *testing.B) {
	compare(b, func(b *testing.B, st store.Store, rec store.Record) {
		for b.Loop() {
			revision, err := st.Set(b.Context(), rec)
			if err != nil {
				b.Fatal(err)
			}
			rec.Revision = revision
		}
	})
}

func compare(b *testing.B, run func(*testing.B, store.Store, store.Record)) {
	b.Helper()
	inner := livestore.New()
	for _, c := range []struct {
		name string
		st   store.Store
	}{{"plain", inner}, {"sealed", seal(b, inner, nil, 1)}, {"two keys", seal(b, inner, nil, 2, 1)}} {
		b.Run(c.name, func(b *testing.B) {
			rec := create(b, c.st, func(rec *store.Record) {
				rec.ClientID, rec.UserID, rec.Addr = uuid.NewString(), "ada@example.org", "192.0.2.7"
				rec.UserAgent = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
				rec.Data = bytes.Repeat([]byte("x"), 300)
			})
			require.NotZero(b, rec.Revision)
			b.ReportAllocs()
			run(b, c.st, rec)
		})
	}
}
