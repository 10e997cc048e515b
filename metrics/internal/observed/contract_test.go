package observed_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/filestore"
	"github.com/sessionbridge/sessionbridge/internal/testkit/testhub"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/metrics/internal/observed"
	"github.com/sessionbridge/sessionbridge/store"
	"github.com/sessionbridge/sessionbridge/store/storetest"
)

func TestContractAroundLivestore(t *testing.T) {
	storetest.Run(t, func(*testing.T) store.Store { return observed.New(livestore.New(), nothing) })
}

func TestContractAroundFilestore(t *testing.T) {
	t.Parallel() // on files of its own, which it waits for
	storetest.Run(t, func(t *testing.T) store.Store {
		inner, err := filestore.Open(filepath.Join(t.TempDir(), "sessions"), nil)
		require.NoError(t, err)
		return observed.New(inner, nothing)
	})
}

// TestContractOfNodes: with what nodes can do besides.
func TestContractOfNodes(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(*testing.T) store.Store { return observed.New(testhub.New(), nothing) })
}
