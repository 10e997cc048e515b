package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/metrics/internal/statistics"
)

const namespace = "sessionbridge"

// NewCollector returns a collector of b.Stats: a gauge for each field that says now, and a counter,
// whose name ends in _total, for each that counts. It does nothing until it is scraped. It is safe
// for concurrent use. The labels, which may be nil, are attached to each metric.
func NewCollector(b *bridge.Bridge, labels prometheus.Labels) prometheus.Collector {
	c := &collector{bridge: b}
	for _, s := range statistics.All() {
		name, kind := s.Name(), prometheus.GaugeValue
		if s.Counter {
			name, kind = name+"_total", prometheus.CounterValue
		}
		c.metrics = append(c.metrics, metric{
			desc:  prometheus.NewDesc(prometheus.BuildFQName(namespace, "", name), s.Help, nil, labels),
			kind:  kind,
			value: s.Value,
		})
	}
	return c
}

type collector struct {
	bridge  *bridge.Bridge
	metrics []metric
}

type metric struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(*bridge.Stats) float64
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(to chan<- *prometheus.Desc) {
	for _, m := range c.metrics {
		to <- m.desc
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(to chan<- prometheus.Metric) {
	stats := c.bridge.Stats()
	for _, m := range c.metrics {
		to <- prometheus.MustNewConstMetric(m.desc, m.kind, m.value(&stats))
	}
}
