package gateway_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
)

// echoStore makes one write and then returns an error for it, as if its answer had been lost.
type echoStore struct {
	store.Store
	err error
}

func (s *echoStore) Set(ctx context.Context, rec store.Record) (uint64, error) {
	revision, err := s.Store.Set(ctx, rec)
	if s.err != nil {
		err, s.err = s.err, nil
	}
	return revision, err
}

// A write that has arrived although the store returned an error is one: the draft is what is stored.
func TestAWriteThatHasArrivedIsOne(t *testing.T) {
	for name, c := range map[string]struct {
		err    error
		change func(d *gateway.Draft)
	}{
		"sent twice, the second time in conflict with itself": {
			store.ErrConflict, func(d *gateway.Draft) { d.Set("n", 1) },
		},
		"a new token whose answer was lost": {
			errors.New("connection reset"), func(d *gateway.Draft) { d.ReplaceToken(store.TokenHash{2}, 0, nil) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			st := &echoStore{Store: livestore.New()}
			g := gateway.New(st, quiet(time.Minute))
			put(t, st, "s")
			d := draftOf(t, g, "s")
			c.change(d)
			st.err = c.err
			require.NoError(t, g.Commit(t.Context(), d, nil))
			require.False(t, d.Changed())
			stored, err := st.Get(t.Context(), "s")
			require.NoError(t, err)
			require.Equal(t, stored, *d.Base())
			d.Set("n", 2)
			won, err := g.CommitExact(t.Context(), g.Acquire("s"), d, nil)
			require.NoError(t, err)
			require.Nil(t, won, "the next change begins from there")
		})
	}
}
