package redisstore_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/redistest"
	"github.com/sessionbridge/sessionbridge/redisstore"
	"github.com/sessionbridge/sessionbridge/store"
	"github.com/sessionbridge/sessionbridge/store/sealed"
)

// TestContractOfASealedStore: package sealed keeps the contract around this store.
func TestContractOfASealedStore(t *testing.T) {
	t.Parallel()
	open := shared(t, redistest.Start(t).URL())
	contract(t, func(t *testing.T, namespace string) store.Store {
		keys := [][]byte{[]byte("a key of at least 32 random bytes")}
		st, err := sealed.New(open(t, &redisstore.Options{Namespace: namespace}), keys, nil)
		require.NoError(t, err)
		return st
	})
}
