package metrics

import (
	"context"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sessionbridge/sessionbridge/metrics/internal/observed"
	"github.com/sessionbridge/sessionbridge/store"
)

// Store returns a store around st that times each call, and registers its histogram,
// sessionbridge_store_operation_duration_seconds, with reg. Give the result to bridge.New.
//
// The label operation is the method, such as get, set or by_user; outcome is ok, not_found,
// conflict, busy, canceled (by the caller) or error. An iteration counts as one call, without the
// time that the loop's body takes. Calls of Apps of the store, and of nodes, are included.
//
// The store has exactly the optional capabilities of st; find them with store.As. Closing it closes
// st. Store fails if reg has the histogram with these labels already.
func Store(st store.Store, reg prometheus.Registerer, labels prometheus.Labels) (store.Store, error) {
	took := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace:   namespace,
		Name:        "store_operation_duration_seconds",
		Help:        "How long calls of the store took.",
		ConstLabels: labels,
		Buckets:     []float64{.00005, .0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, 1, 5},
	}, []string{"operation", "outcome"})
	if err := reg.Register(took); err != nil {
		return nil, fmt.Errorf("metrics: registering the histogram of the store: %w", err)
	}
	return observed.New(st, func(ctx context.Context, operation string) (context.Context, func(observed.Result)) {
		return ctx, func(r observed.Result) {
			took.WithLabelValues(operation, r.Outcome).Observe(r.Took.Seconds())
		}
	}), nil
}
