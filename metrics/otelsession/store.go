package otelsession

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/sessionbridge/sessionbridge/metrics/internal/observed"
	"github.com/sessionbridge/sessionbridge/store"
)

// scope names this package to the providers.
const scope = "github.com/sessionbridge/sessionbridge/metrics/otelsession"

// Providers are where spans and instruments come from. A nil field is the global provider.
type Providers struct {
	Tracer trace.TracerProvider
	Meter  metric.MeterProvider
}

func (p Providers) tracer() trace.Tracer {
	if p.Tracer == nil {
		p.Tracer = otel.GetTracerProvider()
	}
	return p.Tracer.Tracer(scope)
}

func (p Providers) meter() metric.Meter {
	if p.Meter == nil {
		p.Meter = otel.GetMeterProvider()
	}
	return p.Meter.Meter(scope)
}

// Store returns a store around st with a span and a duration for each call. Give the result to
// bridge.New.
//
// A call has a span if the span of its context is being recorded, and so has none outside a request
// or a message. The histogram sessionbridge.store.operation.duration has each call. Both have the
// attributes operation, the method, and outcome: ok, not_found, conflict, busy, canceled (by the
// caller) or error. A span of an iteration has the number of records; the duration in the histogram
// is without the time of the loop's body. Errors are not recorded with their texts, which may
// contain IDs.
//
// The store has exactly the optional capabilities of st; find them with store.As. Closing it closes
// st.
func Store(st store.Store, p Providers) (store.Store, error) {
	took, err := p.meter().Float64Histogram("sessionbridge.store.operation.duration",
		metric.WithUnit("s"),
		metric.WithDescription("How long calls of the store took."),
		metric.WithExplicitBucketBoundaries(
			.00005, .0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, 1, 5))
	if err != nil {
		return nil, fmt.Errorf("otelsession: creating the histogram of the store: %w", err)
	}
	tracer := p.tracer()
	return observed.New(st, func(ctx context.Context, operation string) (context.Context, func(observed.Result)) {
		inner, end := span(ctx, tracer, operation)
		return inner, func(r observed.Result) {
			took.Record(inner, r.Took.Seconds(), metric.WithAttributes(
				attribute.String("operation", operation), attribute.String("outcome", r.Outcome)))
			end(r)
		}
	}), nil
}

// span starts the span of a call, if its context has one.
func span(ctx context.Context, tracer trace.Tracer, operation string) (context.Context, func(observed.Result)) {
	if !trace.SpanFromContext(ctx).IsRecording() {
		return ctx, func(observed.Result) {}
	}
	ctx, s := tracer.Start(ctx, "session store "+operation, trace.WithAttributes(attribute.String("operation", operation)))
	return ctx, func(r observed.Result) {
		s.SetAttributes(attribute.String("outcome", r.Outcome))
		if r.Records > 0 {
			s.SetAttributes(attribute.Int("records", r.Records))
		}
		if r.Outcome == "error" {
			s.SetStatus(codes.Error, "the call of the store failed")
		}
		s.End()
	}
}
