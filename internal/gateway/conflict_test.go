package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
)

// unencodable is a value of an application whose encoding fails with a store's error.
type unencodable struct{}

func (unencodable) MarshalJSON() ([]byte, error) {
	return nil, fmt.Errorf("save the attachment: %w", store.ErrConflict)
}

// A value's own error may match store.ErrConflict, if its application uses a store in MarshalJSON.
func TestValueWhoseEncodingFailsWithAConflict(t *testing.T) {
	st := livestore.New()
	g := newGateway(st)
	put(t, st, "s")
	d := draftOf(t, g, "s")
	d.Set("k", unencodable{})
	err := g.Commit(t.Context(), d, nil)
	var value *gateway.ValueError
	require.ErrorAs(t, err, &value)
	require.Equal(t, "k", value.Key)
}

// conflicting is a store whose Get fails, in a conflict, with an error that matches store.ErrConflict, as
// that of a database whose transactions are serialized does.
type conflicting struct {
	store.Store
	on bool
}

func (c *conflicting) Set(ctx context.Context, rec store.Record) (uint64, error) {
	if c.on {
		return 0, store.ErrConflict
	}
	return c.Store.Set(ctx, rec)
}

func (c *conflicting) Get(ctx context.Context, id string) (store.Record, error) {
	if c.on {
		return store.Record{}, fmt.Errorf("serialization failure: %w", store.ErrConflict)
	}
	return c.Store.Get(ctx, id)
}

func TestStoreWhoseGetFailsWithAConflict(t *testing.T) {
	st := &conflicting{Store: livestore.New()}
	g := newGateway(st)
	put(t, st, "s")
	d := draftOf(t, g, "s")
	d.Set("k", 1)
	st.on = true
	require.Error(t, g.Commit(t.Context(), d, nil))
}

func draftOf(t *testing.T, g *gateway.Gateway, id string) *gateway.Draft {
	t.Helper()
	rec, err := g.Load(t.Context(), id)
	require.NoError(t, err)
	d, err := gateway.NewDraft(rec)
	require.NoError(t, err)
	return d
}

// deadlined is a store that takes its limit from Deadline alone, as one with a deadline on its network
// connection does, and says why it has failed by Err.
type deadlined struct{ store.Store }

func (d deadlined) Get(ctx context.Context, _ string) (store.Record, error) {
	until, _ := ctx.Deadline()
	time.Sleep(time.Until(until) + time.Second)
	if err := ctx.Err(); err != nil {
		return store.Record{}, err
	}
	return store.Record{}, errors.New("Err is nil although the deadline is over")
}

func TestErrAfterTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(deadlined{livestore.New()})
		_, err := g.Load(t.Context(), "s")
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
}

// stepping is a store that asks its context between the steps of its work only.
type stepping struct {
	store.Store
	step time.Duration
	n    atomic.Int64
}

func (p *stepping) Get(ctx context.Context, _ string) (store.Record, error) {
	for {
		time.Sleep(p.step)
		p.n.Add(1)
		if err := ctx.Err(); err != nil {
			return store.Record{}, err
		}
	}
}

// StoreTimeout is 5 s: a step may be under way then, but no further one begins.
func TestStoreThatPollsItsContextIsStoppedInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := &stepping{Store: livestore.New(), step: 4 * time.Second}
		g := newGateway(st)
		began := time.Now()
		_, err := g.Load(t.Context(), "s")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.LessOrEqual(t, time.Since(began), 8*time.Second)
	})
}
