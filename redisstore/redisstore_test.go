package redisstore_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/redistest"
	"github.com/sessionbridge/sessionbridge/redisstore"
	"github.com/sessionbridge/sessionbridge/store"
	"github.com/sessionbridge/sessionbridge/store/storetest"
)

// open opens a store for the test, which is closed at its end.
func open(t testing.TB, url string, opts *redisstore.Options) *redisstore.Store {
	t.Helper()
	st, err := redisstore.Open(t.Context(), url, opts)
	for late := time.Now().Add(patience); errors.Is(err, redisstore.ErrTimeout) && time.Now().Before(late); {
		st, err = redisstore.Open(t.Context(), url, opts) // a test's short Options.Timeout isn't about this
	}
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, st.Close()) })
	return st
}

// flushed empties the servers first.
func flushed(servers ...*redistest.Server) {
	for _, s := range servers {
		s.Do("FLUSHALL")
	}
}

func TestContract(t *testing.T) {
	t.Parallel() // on a server of its own
	s := redistest.Start(t)
	storetest.Run(t, func(t *testing.T) store.Store {
		flushed(s)
		return open(t, s.URL(), nil)
	})
}

// TestContractOfAnApp: an App's store is one like any other, beside the others in the namespace.
func TestContractOfAnApp(t *testing.T) {
	t.Parallel() // on a server of its own
	s := redistest.Start(t)
	storetest.Run(t, func(t *testing.T) store.Store {
		flushed(s)
		st := open(t, s.URL(), &redisstore.Options{Namespace: "my:app"})
		return appStore{st.App("shop").(*redisstore.Store), st}
	})
}

// appStore is an App's store as if it had been opened as such.
type appStore struct {
	*redisstore.Store
	root *redisstore.Store
}

func (s appStore) Close() error { return s.root.Close() }

func (s appStore) App(name string) store.Store {
	if name == "" {
		return s
	}
	return s.root.App("shop/" + name)
}

func TestContractWithShards(t *testing.T) {
	t.Parallel() // on a server of its own
	s := redistest.Start(t)
	storetest.Run(t, func(t *testing.T) store.Store {
		flushed(s)
		return open(t, s.URL(), &redisstore.Options{Shards: 16})
	})
}

func TestContractInACluster(t *testing.T) {
	t.Parallel() // on a server of its own
	c := redistest.StartCluster(t, 3)
	storetest.Run(t, func(t *testing.T) store.Store {
		flushed(c.Servers...)
		return open(t, c.URL(), nil)
	})
}
