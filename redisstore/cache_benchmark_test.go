package redisstore_test

import "testing"

// BenchmarkGetCached reads cached sessions.
func BenchmarkGetCached(b *testing.B) {
	_, st := openForBenchmark(b)
	recs := fill(b, st, 20_000)
	get := func(i int) error {
		_, err := st.GetCached(b.Context(), recs[i*7919%len(recs)].ID)
		return err
	}
	for i := range recs {
		if err := get(i); err != nil {
			b.Fatal(err)
		}
	}
	each(b, b.N, get)
}
