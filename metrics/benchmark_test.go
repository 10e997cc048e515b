package metrics_test

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/metrics"
	"github.com/sessionbridge/sessionbridge/store"
)

// BenchmarkGet shows what the timing of a call costs.
func BenchmarkGet(b *testing.B) {
	plain := livestore.New()
	timed, err := metrics.Store(plain, prometheus.NewRegistry(), nil)
	require.NoError(b, err)
	for name, st := range map[string]store.Store{"plain": plain, "timed": timed} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = st.Get(b.Context(), "missing")
			}
		})
	}
}
