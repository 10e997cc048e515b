package observed_test

import (
	"context"
	"testing"

	"github.com/sessionbridge/sessionbridge/internal/testkit/capabilities"
	"github.com/sessionbridge/sessionbridge/metrics/internal/observed"
	"github.com/sessionbridge/sessionbridge/store"
)

// nothing is a hook.
func nothing(ctx context.Context, _ string) (context.Context, func(observed.Result)) {
	return ctx, func(observed.Result) {}
}

func TestExactlyTheCapabilitiesOfTheInnerStore(t *testing.T) {
	capabilities.Check(t, func(inner store.Store) store.Store { return observed.New(inner, nothing) })
}
