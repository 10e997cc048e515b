package otelsession_test

import (
	"context"
	"fmt"
	"log"
	"net/http"

	"go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/metrics/otelsession"
)

func Example() {
	ctx := context.Background()
	providers := otelsession.Providers{ // the application's own, with its exporters
		Tracer: sdktrace.NewTracerProvider(),
		Meter:  metric.NewMeterProvider(),
	}
	st, err := otelsession.Store(livestore.New(), providers)
	if err != nil {
		log.Fatal(err)
	}
	b, err := bridge.New(st, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer b.Shutdown(ctx)
	off, err := otelsession.Statistics(b, providers)
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = off() }()

	// A message has a trace of its own, with a link to that of its handshake.
	tracer := providers.Tracer.Tracer("chat")
	http.Handle("/chat", b.WebSocket(func(ctx context.Context, c *bridge.Conn) error {
		for {
			_, data, err := c.Read(ctx)
			if err != nil {
				return err
			}
			ctx, span := tracer.Start(ctx, "message", trace.WithNewRoot(), trace.WithLinks(trace.LinkFromContext(ctx)))
			err = c.WithSession(ctx, func(_ context.Context, s *bridge.Session) error {
				s.Set("last", string(data)) // the span has the store's calls
				return nil
			}, nil)
			span.End()
			if err != nil {
				return err
			}
		}
	}, nil))
	fmt.Println(b.Stats().Healthy)
	// Output: true
}
