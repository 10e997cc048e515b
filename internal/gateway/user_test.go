package gateway_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
)

// silent is a store that answers only Get and Set before the context of the call ends.
type silent struct{ *livestore.Store }

func (silent) Ping(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

func (silent) LockUser(ctx context.Context, _ string) (func(context.Context) error, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// A caller that gives up gets the cause of its context's end; one that waits gets ErrUnavailable.
func TestGivingUpIsNoFailureOfTheStore(t *testing.T) {
	for name, call := range map[string]func(context.Context, *gateway.Gateway) error{
		"Ping": func(ctx context.Context, g *gateway.Gateway) error { return g.Ping(ctx) },
		"LockUser": func(ctx context.Context, g *gateway.Gateway) error {
			_, err := g.LockUser(ctx, "ada")
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g, hungUp := newGateway(silent{livestore.New()}), errors.New("hung up")
				ctx, cancel := context.WithCancelCause(t.Context())
				time.AfterFunc(time.Second, func() { cancel(hungUp) })
				err := call(ctx, g)
				require.ErrorIs(t, err, hungUp)
				require.NotErrorIs(t, err, gateway.ErrUnavailable)
				require.Zero(t, g.Stats().StoreErrors)
				require.ErrorIs(t, call(t.Context(), g), gateway.ErrUnavailable)
				require.EqualValues(t, 1, g.Stats().StoreErrors)
			})
		})
	}
}

func TestStoreThatCannotBeAskedIsNoError(t *testing.T) {
	g := newGateway(struct{ store.Store }{livestore.New()})
	require.NoError(t, g.Ping(t.Context()))
	unlock, err := g.LockUser(t.Context(), "ada")
	require.NoError(t, err)
	require.Nil(t, unlock)
}
