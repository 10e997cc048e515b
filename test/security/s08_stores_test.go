package security_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/filestore"
	"github.com/sessionbridge/sessionbridge/internal/testkit/teststore"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
)

// ticketStores are the stores that tickets are kept in, one way or another.
var ticketStores = map[string]func(t testing.TB) store.Store{
	"livestore": func(testing.TB) store.Store { return livestore.New() },
	"filestore": func(t testing.TB) store.Store {
		st, err := filestore.Open(t.TempDir()+"/sessions.db", nil)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, st.Close()) })
		return st
	},
	"a store without room for them": func(testing.TB) store.Store { return teststore.Minimal{Store: livestore.New()} },
}
