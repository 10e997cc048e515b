package gateway_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
)

func TestCountStopsAtItsLimit(t *testing.T) {
	st := livestore.New()
	now := gateway.Now()
	for i := range 5 {
		_, err := st.Set(t.Context(), store.Record{
			ID: fmt.Sprint(i), ClientID: "client", TokenGeneration: 1, Data: []byte("{}"), Created: now, Seen: now,
		})
		require.NoError(t, err)
	}
	g := gateway.New(st, gateway.Config{StoreTimeout: time.Second, TouchInterval: time.Minute})
	for atMost, want := range map[int]int{1: 1, 4: 4, 5: 5, 100: 5} {
		n, err := g.Count(t.Context(), atMost)
		require.NoError(t, err)
		require.Equal(t, want, n)
	}
	bare := struct{ store.Store }{st} // without capabilities
	g = gateway.New(bare, gateway.Config{StoreTimeout: time.Second, TouchInterval: time.Minute})
	_, err := g.Count(t.Context(), 1)
	require.ErrorIs(t, err, errors.ErrUnsupported)
}
