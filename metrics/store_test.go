package metrics_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/filestore"
	"github.com/sessionbridge/sessionbridge/internal/testkit/testhub"
	"github.com/sessionbridge/sessionbridge/internal/testkit/teststore"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/metrics"
	"github.com/sessionbridge/sessionbridge/store"
	"github.com/sessionbridge/sessionbridge/store/storetest"
)

const durations = "sessionbridge_store_operation_duration_seconds"

// find returns the metric of a family that has the labels, names and values alternately, or nil.
func find(t *testing.T, reg prometheus.Gatherer, name string, labels ...string) *dto.Metric {
	t.Helper()
	families, err := reg.Gather()
	require.NoError(t, err)
	for _, family := range families {
		for _, m := range family.GetMetric() {
			has := map[string]string{}
			for _, pair := range m.GetLabel() {
				has[pair.GetName()] = pair.GetValue()
			}
			matches := family.GetName() == name
			for i := 0; i < len(labels); i += 2 {
				matches = matches && has[labels[i]] == labels[i+1]
			}
			if matches {
				return m
			}
		}
	}
	return nil
}

func TestContractAroundLivestore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store {
		st, err := metrics.Store(livestore.New(), prometheus.NewRegistry(), nil)
		require.NoError(t, err)
		return st
	})
}

var folders atomic.Int64

// memoryDir returns a folder for files whose durability isn't tested, in memory where there is one.
func memoryDir(t *testing.T) string {
	t.Helper()
	if info, err := os.Stat("/dev/shm"); err != nil || !info.IsDir() {
		return t.TempDir()
	}
	dir := filepath.Join("/dev/shm", fmt.Sprintf("metrics-test-%d-%d", os.Getpid(), folders.Add(1)))
	require.NoError(t, os.Mkdir(dir, 0o700))
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	return dir
}

func TestContractAroundFilestore(t *testing.T) {
	t.Parallel() // on files of its own, which it waits for
	storetest.Run(t, func(t *testing.T) store.Store {
		inner, err := filestore.Open(filepath.Join(memoryDir(t), "sessions"), nil)
		require.NoError(t, err)
		st, err := metrics.Store(inner, prometheus.NewRegistry(), nil)
		require.NoError(t, err)
		return st
	})
}

func TestCallsOfTheStoreAreTimed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner, reg := teststore.NewFaulty(), prometheus.NewPedanticRegistry()
		st, err := metrics.Store(inner, reg, prometheus.Labels{"app": "shop"})
		require.NoError(t, err)
		_, err = metrics.Store(inner, reg, prometheus.Labels{"app": "shop"})
		require.Error(t, err, "twice")

		slow := func(result error) teststore.Fault {
			return func(context.Context, func() error) error {
				time.Sleep(3 * time.Second)
				return result
			}
		}
		inner.Next(1, "Get", slow(store.ErrNotFound))
		_, err = st.Get(t.Context(), "id")
		require.ErrorIs(t, err, store.ErrNotFound)
		inner.Next(1, "Get", slow(errors.New("unreachable")))
		_, err = st.Get(t.Context(), "id")
		require.Error(t, err)

		requireConventions(t, reg)
		for _, outcome := range []string{"not_found", "error"} {
			h := find(t, reg, durations, "app", "shop", "operation", "get", "outcome", outcome).GetHistogram()
			require.EqualValues(t, 1, h.GetSampleCount())
			require.Equal(t, 3.0, h.GetSampleSum())
		}
	})
}

// TestAnEndReachesTheNodesThroughTimedStores: a Bridge on such a store is a node like others.
func TestAnEndReachesTheNodesThroughTimedStores(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub, reg := testhub.New(), prometheus.NewPedanticRegistry()
		keys := [][]byte{bytes.Repeat([]byte{1}, 32)}
		var nodes [2]*bridge.Bridge
		for i := range nodes {
			st, err := metrics.Store(hub, reg, prometheus.Labels{"node": fmt.Sprint(i)})
			require.NoError(t, err)
			nodes[i] = newBridge(t, st, keys...)
		}
		off, err := metrics.Observe(nodes[1], reg, nil)
		require.NoError(t, err)
		defer off()
		mux := http.NewServeMux()
		mux.Handle("/login", nodes[0].Handler(login(nodes[0])))
		mux.Handle("/ws", nodes[1].Handler(reading(nodes[1])))
		visitor := webclient.NewBrowser(t, webclient.ServeInMemory(t, mux))
		visitor.OK("/login")
		closed := visitor.Dial("/ws").WhenClosed()
		synctest.Wait() // the second look at the session, which would find its end in the store
		_, err = nodes[0].DestroyUser(t.Context(), "ada")
		require.NoError(t, err)
		require.Equal(t, bridge.CodeDestroyed, <-closed)
		synctest.Wait()
		requireConventions(t, reg)
		counted(t, reg, 1, "sessions_ended_total", "reason", "destroyed", "via", "node")
		for node, operation := range map[string]string{"0": "end", "1": "hold"} {
			h := find(t, reg, durations, "node", node, "operation", operation, "outcome", "ok").GetHistogram()
			require.NotZero(t, h.GetSampleCount(), operation)
		}
	})
}
