package otelsession_test

import (
	"context"
	"errors"
	"net/http"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit/teststore"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/metrics/otelsession"
	"github.com/sessionbridge/sessionbridge/store"
	"github.com/sessionbridge/sessionbridge/store/storetest"
)

// telemetry is what has been exported.
type telemetry struct {
	otelsession.Providers
	spans  *tracetest.SpanRecorder
	tracer *trace.TracerProvider
	reader *metric.ManualReader
}

func newTelemetry() *telemetry {
	t := &telemetry{spans: tracetest.NewSpanRecorder(), reader: metric.NewManualReader()}
	t.tracer = trace.NewTracerProvider(trace.WithSpanProcessor(t.spans))
	t.Providers = otelsession.Providers{Tracer: t.tracer, Meter: metric.NewMeterProvider(metric.WithReader(t.reader))}
	return t
}

// collect returns the metrics by their names.
func (tel *telemetry) collect(t *testing.T) map[string]metricdata.Aggregation {
	t.Helper()
	var all metricdata.ResourceMetrics
	require.NoError(t, tel.reader.Collect(t.Context(), &all))
	values := map[string]metricdata.Aggregation{}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			require.NotEmpty(t, m.Description, m.Name)
			values[m.Name] = m.Data
		}
	}
	return values
}

func newBridge(t *testing.T, st store.Store) *bridge.Bridge {
	t.Helper()
	b, err := bridge.New(st, nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Shutdown(context.WithoutCancel(t.Context()))) })
	return b
}

func TestEachStatisticIsAnInstrument(t *testing.T) {
	tel, b := newTelemetry(), newBridge(t, livestore.New())
	off, err := otelsession.Statistics(b, tel.Providers, attribute.String("app", "shop"))
	require.NoError(t, err)
	_, err = b.Create(t.Context(), bridge.NewSession{UserID: "ada"})
	require.NoError(t, err)

	values := tel.collect(t)
	require.Len(t, values, reflect.TypeFor[bridge.Stats]().NumField())
	writes, is := values["sessionbridge.writes"].(metricdata.Sum[int64])
	require.True(t, is)
	require.True(t, writes.IsMonotonic)
	require.EqualValues(t, 1, writes.DataPoints[0].Value)
	require.Equal(t, attribute.NewSet(attribute.String("app", "shop")), writes.DataPoints[0].Attributes)
	healthy, is := values["sessionbridge.healthy"].(metricdata.Gauge[int64])
	require.True(t, is)
	require.EqualValues(t, 1, healthy.DataPoints[0].Value)

	require.NoError(t, off())
	require.Empty(t, tel.collect(t))
}

func TestContractOfTheStore(t *testing.T) {
	tel := newTelemetry()
	storetest.Run(t, func(t *testing.T) store.Store {
		st, err := otelsession.Store(livestore.New(), tel.Providers)
		require.NoError(t, err)
		return st
	})
	require.Empty(t, tel.spans.Started(), "outside a trace")
	durations, is := tel.collect(t)["sessionbridge.store.operation.duration"].(metricdata.Histogram[float64])
	require.True(t, is)
	require.NotEmpty(t, durations.DataPoints)
}

// TestSpansOfARequestAreItsChildren: from the first read to the commit.
func TestSpansOfARequestAreItsChildren(t *testing.T) {
	tel := newTelemetry()
	st, err := otelsession.Store(livestore.New(), tel.Providers)
	require.NoError(t, err)
	b := newBridge(t, st)
	handler := b.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		session, err := b.Session(r)
		if err != nil {
			panic(err)
		}
		session.Set("page", r.URL.Path)
	}))
	visitor := webclient.NewBrowser(t, webclient.ServeInMemory(t, http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) {
			ctx, span := tel.tracer.Tracer("application").Start(r.Context(), "request")
			defer span.End()
			handler.ServeHTTP(w, r.WithContext(ctx))
		})))
	visitor.OK("/first")
	visitor.OK("/second")

	requests := map[string][]string{} // the calls of each, by the ID of its span
	for _, span := range tel.spans.Ended() {
		if span.Name() != "request" {
			of := span.Parent().SpanID().String()
			requests[of] = append(requests[of], span.Name())
			require.Equal(t, codes.Unset, span.Status().Code)
		}
	}
	require.Len(t, requests, 2)
	var second []string
	for _, calls := range requests {
		if len(calls) > 1 {
			second = calls
		}
	}
	require.Equal(t, []string{"session store get", "session store set"}, second)
}

func TestASpanSaysHowTheCallEnded(t *testing.T) {
	tel, inner := newTelemetry(), teststore.NewFaulty()
	st, err := otelsession.Store(inner, tel.Providers)
	require.NoError(t, err)
	ctx, parent := tel.tracer.Tracer("application").Start(t.Context(), "request")
	secret := errors.New("key session:123: connection reset")
	inner.Next(1, "Get", teststore.Refuse(secret))
	_, err = st.Get(ctx, "id")
	require.ErrorIs(t, err, secret)
	_, err = st.Get(ctx, "id")
	require.ErrorIs(t, err, store.ErrNotFound)

	failed, missing := tel.spans.Ended()[0], tel.spans.Ended()[1]
	require.Equal(t, codes.Error, failed.Status().Code)
	require.NotContains(t, failed.Status().Description, "123")
	require.Empty(t, failed.Events())
	require.Contains(t, failed.Attributes(), attribute.String("outcome", "error"))
	require.Equal(t, codes.Unset, missing.Status().Code)
	require.Contains(t, missing.Attributes(), attribute.String("outcome", "not_found"))

	parent.End()
	_, _ = st.Get(ctx, "id")
	require.Len(t, tel.spans.Ended(), 3, "a span that has ended gets no more children")
}
