package pgstore_test

import (
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/pgstore"
	"github.com/sessionbridge/sessionbridge/store"
)

// common is a schema and a pool that the cases of the contract share, because creating a schema takes
// longer than most of them. The first case creates it, and TestMain calls close.
type common struct {
	once sync.Once
	pool *pgxpool.Pool
	root *pgstore.Store
	apps atomic.Int32
}

// fresh returns a store without sessions: an App of its own.
func (c *common) fresh(t *testing.T) *appStore {
	t.Helper()
	c.once.Do(func() {
		pool, err := pgxpool.New(t.Context(), server.Server(t).URL()+"?pool_max_conns=8")
		require.NoError(t, err)
		c.pool = pool
		c.root, err = pgstore.New(t.Context(), pool, &pgstore.Options{Schema: "contract", Timeout: patience})
		require.NoError(t, err)
	})
	require.NotNil(t, c.root, "the shared schema wasn't created")
	st, err := pgstore.New(t.Context(), c.pool, &pgstore.Options{Schema: "contract", Timeout: patience})
	require.NoError(t, err)
	prefix := "app " + strconv.Itoa(int(c.apps.Add(1)))
	return &appStore{Store: st.App(prefix).(*pgstore.Store), root: st, prefix: prefix}
}

func (c *common) close() {
	if c.root != nil {
		_ = c.root.Close()
	}
	if c.pool != nil {
		c.pool.Close()
	}
}

// appStore is an App that closes the store it belongs to, and whose Apps are the store's.
type appStore struct {
	*pgstore.Store
	root   *pgstore.Store
	prefix string
}

func (s *appStore) Close() error { return s.root.Close() }

func (s *appStore) App(name string) store.Store {
	if name == "" {
		return s
	}
	return s.root.App(s.prefix + "/" + name)
}
