package metrics_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit/teststore"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/metrics"
)

// counted fails unless the counter with the labels has the value.
func counted(t *testing.T, reg prometheus.Gatherer, want float64, name string, labels ...string) {
	t.Helper()
	m := find(t, reg, "sessionbridge_"+name, labels...)
	require.NotNil(t, m, "%s %v", name, labels)
	require.Equal(t, want, m.GetCounter().GetValue(), "%s %v", name, labels)
}

// login logs ada in.
func login(b *bridge.Bridge) http.Handler {
	return http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		session, err := b.Session(r)
		if err == nil {
			err = session.Login("ada")
		}
		if err != nil {
			panic(err)
		}
	})
}

// reading is a socket that reads.
func reading(b *bridge.Bridge) http.Handler {
	return b.WebSocket(func(ctx context.Context, c *bridge.Conn) error {
		_, _, err := c.Read(ctx)
		return err
	}, nil)
}

func TestLifeOfASessionAndItsConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, reg := newBridge(t, livestore.New()), prometheus.NewPedanticRegistry()
		off, err := metrics.Observe(b, reg, prometheus.Labels{"app": "shop"})
		require.NoError(t, err)
		mux := http.NewServeMux()
		mux.Handle("/login", login(b))
		mux.Handle("/ws", reading(b))
		server := webclient.ServeInMemory(t, b.Handler(mux))
		visitor := webclient.NewBrowser(t, server)
		visitor.OK("/login")
		closed := visitor.Dial("/ws").WhenClosed()
		time.Sleep(time.Minute)
		_, err = b.DestroyUser(t.Context(), "ada")
		require.NoError(t, err)
		require.Equal(t, bridge.CodeDestroyed, <-closed)
		visitor.OK("/login") // with a cookie that opens nothing
		synctest.Wait()

		requireConventions(t, reg)
		counted(t, reg, 2, "sessions_created_total", "app", "shop", "via", "http")
		counted(t, reg, 2, "logins_total", "via", "http")
		counted(t, reg, 1, "sessions_ended_total", "reason", "destroyed", "via", "api")
		counted(t, reg, 1, "connections_opened_total")
		counted(t, reg, 1, "connections_closed_total", "code", "4500")
		counted(t, reg, 1, "credentials_rejected_total", "credential", "cookie", "reason", "session")
		counted(t, reg, 0, "observed_events_missed_total")
		open := find(t, reg, "sessionbridge_connection_duration_seconds").GetHistogram()
		require.EqualValues(t, 1, open.GetSampleCount())
		require.Equal(t, 60.0, open.GetSampleSum())
		revocation := find(t, reg, "sessionbridge_revocation_duration_seconds").GetHistogram()
		require.EqualValues(t, 1, revocation.GetSampleCount())
		require.Zero(t, revocation.GetSampleSum(), "at once, in fake time")

		off()
		families, err := reg.Gather()
		require.NoError(t, err)
		require.Empty(t, families)
		off()
		off, err = metrics.Observe(b, reg, prometheus.Labels{"app": "shop"})
		require.NoError(t, err)
		off()
	})
}

func TestFailuresAndCleanups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st, reg := teststore.NewFaulty(), prometheus.NewPedanticRegistry()
		b := newBridge(t, st)
		off, err := metrics.Observe(b, reg, nil)
		require.NoError(t, err)
		defer off()
		_, err = b.Cleanup(t.Context())
		require.NoError(t, err)
		server := webclient.ServeInMemory(t, b.Handler(b.WebSocket(func(context.Context, *bridge.Conn) error {
			panic("broken")
		}, nil)))
		closed := webclient.NewBrowser(t, server).Dial("/").WhenClosed()
		require.Equal(t, bridge.CodeFailed, <-closed)
		synctest.Wait()
		counted(t, reg, 1, "failures_total", "kind", "panic")
		counted(t, reg, 1, "connections_closed_total", "code", "1011")
		require.EqualValues(t, 1, find(t, reg, "sessionbridge_cleanup_duration_seconds").GetHistogram().GetSampleCount())
		require.Zero(t, find(t, reg, "sessionbridge_revocation_duration_seconds").GetHistogram().GetSampleCount(),
			"its session has not ended")
	})
}

// TestAFailedRegistrationLeavesNothing: neither metrics nor an observer.
func TestAFailedRegistrationLeavesNothing(t *testing.T) {
	b, reg := newBridge(t, livestore.New()), prometheus.NewPedanticRegistry()
	require.NoError(t, reg.Register(prometheus.NewCounter(prometheus.CounterOpts{
		Name: "sessionbridge_connections_opened_total", Help: "In the way.",
	})))
	_, err := metrics.Observe(b, reg, nil)
	require.ErrorContains(t, err, "registering the metrics of events")
	families, err := reg.Gather()
	require.NoError(t, err)
	require.Len(t, families, 1)
}

func TestEachFailureHasAKind(t *testing.T) {
	for want, err := range map[string]error{
		"panic": fmt.Errorf("%w: x", bridge.ErrPanicked), "store": fmt.Errorf("%w: x", bridge.ErrStoreUnavailable),
		"node": bridge.ErrNodeSilent, "other": errors.New("x"),
	} {
		require.Equal(t, want, metrics.FailureKind(err))
	}
}
