package metrics_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/filestore"
	"github.com/sessionbridge/sessionbridge/internal/testkit/teststore"
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
