package livestore_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
	"github.com/sessionbridge/sessionbridge/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestContract(t *testing.T) {
	storetest.Run(t, func(*testing.T) store.Store { return livestore.New() })
}
