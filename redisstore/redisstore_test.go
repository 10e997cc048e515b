package redisstore_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/redistest"
	"github.com/sessionbridge/sessionbridge/redisstore"
	"github.com/sessionbridge/sessionbridge/store"
	"github.com/sessionbridge/sessionbridge/store/storetest"
)

// open opens a store that is closed at the end of the test. Its Options.Timeout is long unless the
// test sets one, because the machine may be busy. A short one doesn't apply to opening.
func open(t testing.TB, url string, opts *redisstore.Options) *redisstore.Store {
	t.Helper()
	if opts == nil || opts.Timeout == 0 {
		long := redisstore.Options{}
		if opts != nil {
			long = *opts
		}
		long.Timeout = 20 * time.Second
		opts = &long
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	st, err := redisstore.Open(ctx, url, opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, st.Close()) })
	return st
}

// contract runs the contract tests in parallel. make opens a store in a namespace of its own.
func contract(t *testing.T, make func(t *testing.T, namespace string) store.Store) {
	t.Helper()
	var namespaces atomic.Int32
	storetest.Run(t, func(each *testing.T) store.Store {
		if each != t {
			each.Parallel()
		}
		return make(each, fmt.Sprint("sb:", namespaces.Add(1)))
	})
}

// flushed empties the servers.
func flushed(servers ...*redistest.Server) {
	for _, s := range servers {
		s.Do("FLUSHALL")
	}
}

func TestContract(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	contract(t, func(t *testing.T, namespace string) store.Store {
		return open(t, s.URL(), &redisstore.Options{Namespace: namespace})
	})
}

// TestContractOfAnAppWithShards: an App's store is a complete store, beside others in the
// namespace.
func TestContractOfAnAppWithShards(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	contract(t, func(t *testing.T, namespace string) store.Store {
		st := open(t, s.URL(), &redisstore.Options{Namespace: namespace, Shards: 16})
		return appStore{st.App("shop").(*redisstore.Store), st}
	})
}

// appStore is an App's store that closes the store that it belongs to.
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

func TestContractInACluster(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 3)
	contract(t, func(t *testing.T, namespace string) store.Store {
		return open(t, c.URL(), &redisstore.Options{Namespace: namespace})
	})
}
