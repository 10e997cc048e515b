package otelsession

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/metrics/internal/statistics"
)

// Statistics makes an observable instrument for each field of b.Stats, from sessionbridge.conns to
// sessionbridge.rejections_dropped: a counter for what counts, a gauge for what says now. They are
// read when the provider collects, and have the attributes, until off is called.
func Statistics(b *bridge.Bridge, p Providers, attrs ...attribute.KeyValue) (off func() error, err error) {
	all, meter := statistics.All(), p.meter()
	instruments := make([]metric.Int64Observable, len(all))
	observables := make([]metric.Observable, len(all))
	for i, s := range all {
		if instruments[i], err = instrument(meter, s); err != nil {
			return nil, fmt.Errorf("otelsession: creating the instrument of %s: %w", s.Field, err)
		}
		observables[i] = instruments[i]
	}
	set := metric.WithAttributeSet(attribute.NewSet(attrs...))
	registration, err := meter.RegisterCallback(func(_ context.Context, to metric.Observer) error {
		stats := b.Stats()
		for i, s := range all {
			to.ObserveInt64(instruments[i], int64(s.Value(&stats)), set)
		}
		return nil
	}, observables...)
	if err != nil {
		return nil, fmt.Errorf("otelsession: registering the statistics: %w", err)
	}
	return registration.Unregister, nil
}

func instrument(meter metric.Meter, s statistics.Statistic) (metric.Int64Observable, error) {
	name := "sessionbridge." + s.Name()
	if s.Counter {
		return meter.Int64ObservableCounter(name, metric.WithDescription(s.Help))
	}
	return meter.Int64ObservableGauge(name, metric.WithDescription(s.Help))
}
