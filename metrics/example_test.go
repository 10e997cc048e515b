package metrics_test

import (
	"context"
	"fmt"
	"log"
	"net/http/httptest"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/metrics"
)

func Example() {
	ctx, reg := context.Background(), prometheus.NewRegistry()
	st, err := metrics.Store(livestore.New(), reg, nil)
	if err != nil {
		log.Fatal(err)
	}
	b, err := bridge.New(st, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer b.Shutdown(ctx)
	if err := reg.Register(metrics.NewCollector(b, nil)); err != nil {
		log.Fatal(err)
	}
	off, err := metrics.Observe(b, reg, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer off()
	endpoint := promhttp.HandlerFor(reg, promhttp.HandlerOpts{}) // http.Handle("GET /metrics", endpoint)

	if _, err := b.Create(ctx, bridge.NewSession{UserID: "ada"}); err != nil {
		log.Fatal(err)
	}
	scrape := httptest.NewRecorder()
	endpoint.ServeHTTP(scrape, httptest.NewRequest("GET", "/metrics", nil))
	for line := range strings.Lines(scrape.Body.String()) {
		if strings.HasPrefix(line, "sessionbridge_writes_total") {
			fmt.Print(line)
		}
	}
	// Output: sessionbridge_writes_total 1
}
