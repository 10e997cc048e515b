package dashboardtest

import (
	"context"
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/metrics"
)

// described is a prometheus.Registerer that notes the labels of each metric, by its name.
type described map[string][]string

var desc = regexp.MustCompile(`^Desc\{fqName: "(\w+)", .*variableLabels: \{([\w,]*)\}\}$`)

func (d described) Register(c prometheus.Collector) error {
	descs := make(chan *prometheus.Desc)
	go func() { // ends with what c describes
		defer close(descs)
		c.Describe(descs)
	}()
	for text := range descs {
		found := desc.FindStringSubmatch(text.String())
		d[found[1]] = strings.Split(found[2], ",")
	}
	return nil
}

func (d described) MustRegister(...prometheus.Collector) {}
func (d described) Unregister(prometheus.Collector) bool { return true }

// all returns the metrics that there are.
func all(t *testing.T) described {
	t.Helper()
	found := described{}
	st, err := metrics.Store(livestore.New(), found, nil)
	require.NoError(t, err)
	b, err := bridge.New(st, nil)
	require.NoError(t, err)
	off, err := metrics.Observe(b, found, nil)
	require.NoError(t, err)
	off()
	require.NoError(t, found.Register(metrics.NewCollector(b, nil)))
	require.NoError(t, b.Shutdown(context.WithoutCancel(t.Context())))
	return found
}

// board is what the tests read of the dashboard.
type board struct {
	Panels []struct {
		Title   string
		Targets []struct{ Expr, LegendFormat string }
	}
	Templating struct {
		List []struct{ Name, Definition string }
	}
}

func read(t *testing.T) ([]byte, board) {
	t.Helper()
	text, err := os.ReadFile("../dashboard.json")
	require.NoError(t, err)
	var b board
	require.NoError(t, json.Unmarshal(text, &b))
	return text, b
}

// base returns the metric whose series the name is.
func (d described) base(name string) string {
	for _, suffix := range []string{"_bucket", "_count", "_sum"} {
		if trimmed := strings.TrimSuffix(name, suffix); d[trimmed] != nil {
			return trimmed
		}
	}
	return name
}

// labelsOf returns the labels of a query's metrics, and those that Prometheus adds.
func (d described) labelsOf(t *testing.T, expr parser.Node) []string {
	t.Helper()
	known := []string{"job", "instance", "le", "__name__"}
	parser.Inspect(expr, func(n parser.Node, _ []parser.Node) error {
		if selector, ok := n.(*parser.VectorSelector); ok {
			require.Contains(t, d, d.base(selector.Name))
			known = append(known, d[d.base(selector.Name)]...)
		}
		return nil
	})
	return known
}

var placeholder = regexp.MustCompile(`\{\{(\w+)\}\}`)

// TestQueriesAskForMetricsAndLabelsThatExist, and for each metric.
func TestQueriesAskForMetricsAndLabelsThatExist(t *testing.T) {
	metrics, shown := all(t), map[string]bool{}
	_, b := read(t)
	promql := parser.NewParser(parser.Options{})
	for _, panel := range b.Panels {
		for _, target := range panel.Targets {
			expr, err := promql.ParseExpr(strings.ReplaceAll(target.Expr, "$__rate_interval", "5m"))
			require.NoError(t, err, "%s: %s", panel.Title, target.Expr)
			known := metrics.labelsOf(t, expr)
			var used, grouped []string
			parser.Inspect(expr, func(n parser.Node, _ []parser.Node) error {
				switch n := n.(type) {
				case *parser.VectorSelector:
					shown[metrics.base(n.Name)] = true
					for _, matcher := range n.LabelMatchers {
						used = append(used, matcher.Name)
					}
					require.Contains(t, used, "job")
					require.Contains(t, used, "instance")
				case *parser.AggregateExpr:
					grouped = append(grouped, n.Grouping...)
				}
				return nil
			})
			require.Subset(t, known, append(used, grouped...), target.Expr)
			for _, found := range placeholder.FindAllStringSubmatch(target.LegendFormat, -1) {
				require.Contains(t, grouped, found[1], "the legend of %s", target.Expr)
			}
		}
	}
	for name := range metrics {
		require.True(t, shown[name], "no panel shows %s", name)
	}
	for _, variable := range b.Templating.List[1:] {
		name := regexp.MustCompile(`sessionbridge_\w+`).FindString(variable.Definition)
		require.Contains(t, metrics, name)
	}
}

// problems returns what the schema finds: without any its error is a BuildErrors of none, not nil.
func problems(t *testing.T, err error) []string {
	t.Helper()
	var all cog.BuildErrors
	if err != nil {
		require.ErrorAs(t, err, &all)
	}
	texts := make([]string, len(all))
	for i, problem := range all {
		texts[i] = problem.Error()
	}
	return texts
}

// classic is the format that every Grafana imports; its successor needs a recent one.
//
//nolint:staticcheck // deprecated in favour of the successor
type classic = dashboard.Dashboard //lint:ignore SA1019 see above

// TestGrafanaReadsTheDashboard: by its own schema, which knows each field.
func TestGrafanaReadsTheDashboard(t *testing.T) {
	plugins.RegisterDefaultPlugins()
	text, b := read(t)
	var d classic
	require.Empty(t, problems(t, d.UnmarshalJSONStrict(text)))
	require.Empty(t, problems(t, d.Validate()))
	require.Len(t, d.Panels, len(b.Panels))
	for _, field := range []string{"schemaVersion", "calcs", "gridPos"} {
		wrong := strings.Replace(string(text), `"`+field+`"`, `"unknown"`, 1)
		require.NotEmpty(t, problems(t, new(classic).UnmarshalJSONStrict([]byte(wrong))), field)
	}
}
