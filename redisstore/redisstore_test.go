package redisstore_test

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/rueidis"
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

// shared returns a function that opens stores through one client with the options of Open, which
// takes less time than a client for each. The client is closed at the end of the test.
func shared(t *testing.T, url string) func(t *testing.T, opts *redisstore.Options) *redisstore.Store {
	t.Helper()
	option, err := redisstore.ClientOption(url, &redisstore.Options{Timeout: 20 * time.Second})
	require.NoError(t, err)
	client, err := rueidis.NewClient(option)
	require.NoError(t, err)
	t.Cleanup(client.Close)
	return func(t *testing.T, opts *redisstore.Options) *redisstore.Store {
		t.Helper()
		opts.Timeout = 20 * time.Second
		st, err := redisstore.New(t.Context(), client, opts)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, st.Close()) })
		return st
	}
}

// severalShards is the number of shards of the contract tests of stores with several: enough for
// each master of a cluster to have one. With SOAK set it is the default of a cluster.
func severalShards() int {
	if os.Getenv("SOAK") != "" {
		return 16
	}
	return 4
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
	open := shared(t, redistest.Start(t).URL())
	contract(t, func(t *testing.T, namespace string) store.Store {
		st := open(t, &redisstore.Options{Namespace: namespace, Shards: severalShards()})
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
	open := shared(t, redistest.StartCluster(t, 3).URL())
	contract(t, func(t *testing.T, namespace string) store.Store {
		return open(t, &redisstore.Options{Namespace: namespace, Shards: severalShards()})
	})
}
