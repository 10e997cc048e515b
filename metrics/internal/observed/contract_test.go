package observed_test

import (
	"testing"

	"github.com/sessionbridge/sessionbridge/internal/testkit/testhub"
	"github.com/sessionbridge/sessionbridge/metrics/internal/observed"
	"github.com/sessionbridge/sessionbridge/store"
	"github.com/sessionbridge/sessionbridge/store/storetest"
)

// TestContractOfNodes: with what nodes can do besides. Package metrics has those of other stores.
func TestContractOfNodes(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(*testing.T) store.Store { return observed.New(testhub.New(), nothing) })
}
