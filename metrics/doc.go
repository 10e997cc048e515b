// Package metrics shows a Bridge to Prometheus.
//
// [NewCollector] has the statistics of a Bridge, [Observe] counts and times its events, and [Store]
// times the calls of its store. Each takes constant labels, which tell the Bridges of one process
// apart, and each works without the others. dashboard.json is a dashboard for Grafana that shows
// them all.
//
// The package otelsession does the same for OpenTelemetry.
package metrics
