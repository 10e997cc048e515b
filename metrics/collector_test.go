package metrics_test

import (
	"context"
	"reflect"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/metrics"
	"github.com/sessionbridge/sessionbridge/store"
)

func newBridge(t *testing.T, st store.Store, keys ...[]byte) *bridge.Bridge {
	t.Helper()
	b, err := bridge.New(st, &bridge.Options{Keys: keys})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Shutdown(context.WithoutCancel(t.Context()))) })
	return b
}

// requireConventions fails unless names and help texts follow the conventions of Prometheus.
func requireConventions(t *testing.T, reg prometheus.Gatherer) {
	t.Helper()
	problems, err := testutil.GatherAndLint(reg)
	require.NoError(t, err)
	require.Empty(t, problems)
}

func TestCollectorHasEachStatistic(t *testing.T) {
	b, reg := newBridge(t, livestore.New()), prometheus.NewPedanticRegistry()
	require.NoError(t, reg.Register(metrics.NewCollector(b, nil)))
	for range 3 {
		_, err := b.Create(t.Context(), bridge.NewSession{UserID: "ada"})
		require.NoError(t, err)
	}
	requireConventions(t, reg)
	families, err := reg.Gather()
	require.NoError(t, err)
	require.Len(t, families, reflect.TypeFor[bridge.Stats]().NumField())
	for _, family := range families {
		require.True(t, strings.HasPrefix(family.GetName(), "sessionbridge_"), family.GetName())
	}
	require.NoError(t, testutil.GatherAndCompare(reg, strings.NewReader(`
# HELP sessionbridge_healthy 1 if this node and the others on the store hear each other, otherwise 0.
# TYPE sessionbridge_healthy gauge
sessionbridge_healthy 1
# HELP sessionbridge_writes_total Sessions that were stored.
# TYPE sessionbridge_writes_total counter
sessionbridge_writes_total 3
`), "sessionbridge_healthy", "sessionbridge_writes_total"))
}

func TestBridgesOfAProcessAreToldApartByLabels(t *testing.T) {
	shop, forum, reg := newBridge(t, livestore.New()), newBridge(t, livestore.New()), prometheus.NewPedanticRegistry()
	require.NoError(t, reg.Register(metrics.NewCollector(shop, prometheus.Labels{"app": "shop"})))
	require.NoError(t, reg.Register(metrics.NewCollector(forum, prometheus.Labels{"app": "forum"})))
	require.Error(t, reg.Register(metrics.NewCollector(forum, prometheus.Labels{"app": "forum"})))
	_, err := shop.Create(t.Context(), bridge.NewSession{UserID: "ada"})
	require.NoError(t, err)
	require.NoError(t, testutil.GatherAndCompare(reg, strings.NewReader(`
# HELP sessionbridge_writes_total Sessions that were stored.
# TYPE sessionbridge_writes_total counter
sessionbridge_writes_total{app="forum"} 0
sessionbridge_writes_total{app="shop"} 1
`), "sessionbridge_writes_total"))
}
