package testhub_test

import (
	"testing"

	"github.com/sessionbridge/sessionbridge/internal/testkit/testhub"
	"github.com/sessionbridge/sessionbridge/store"
	"github.com/sessionbridge/sessionbridge/store/storetest"
)

// TestHubKeepsTheContract: what the tests of nodes stand on does what stores have to do.
func TestHubKeepsTheContract(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(*testing.T) store.Store { return testhub.New() })
}
