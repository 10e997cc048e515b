package testhub_test

import (
	"testing"

	"github.com/sessionbridge/sessionbridge/internal/testkit/testhub"
	"github.com/sessionbridge/sessionbridge/store"
	"github.com/sessionbridge/sessionbridge/store/storetest"
)

// TestHubKeepsTheContract: the store that the tests of nodes use keeps the contract of stores.
func TestHubKeepsTheContract(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(*testing.T) store.Store { return testhub.New() })
}
