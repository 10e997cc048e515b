package gateway_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
)

// pollingStore waits for free to be closed, and asks its context again and again whether to give up.
type pollingStore struct {
	store.Store
	free chan struct{}
}

func (s *pollingStore) wait(ctx context.Context) error {
	for ctx.Err() == nil {
		select {
		case <-s.free:
			return nil
		default:
			time.Sleep(time.Millisecond)
		}
	}
	return context.Cause(ctx)
}

func (s *pollingStore) Get(ctx context.Context, id string) (store.Record, error) {
	if err := s.wait(ctx); err != nil {
		return store.Record{}, err
	}
	return s.Store.Get(ctx, id)
}

func (s *pollingStore) Set(ctx context.Context, rec store.Record) (uint64, error) {
	if err := s.wait(ctx); err != nil {
		return 0, err
	}
	return s.Store.Set(ctx, rec)
}

func polling(t *testing.T) (*gateway.Gateway, *pollingStore) {
	t.Helper()
	st := &pollingStore{Store: livestore.New(), free: make(chan struct{})}
	put(t, st.Store, "s")
	return gateway.New(st, quiet(5*time.Second)), st
}

// StoreTimeout limits a store that only asks for the error of its context.
func TestStoreThatPollsItsContextIsLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, _ := polling(t)
		began := time.Now()
		_, err := g.Load(t.Context(), "s")
		require.ErrorIs(t, err, gateway.ErrUnavailable)
		require.InDelta(t, 5, time.Since(began).Seconds(), 0.1)
	})
}

// A change whose storing has begun goes on when the client hangs up; a load ends.
func TestStoringGoesOnWithoutTheClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, st := polling(t)
		d := draftOf(t, gateway.New(st.Store, quiet(time.Minute)), "s")
		d.Set("n", 1)
		hungUp := errors.New("hung up")
		ctx, cancel := context.WithCancelCause(t.Context())
		var all sync.WaitGroup
		all.Go(func() { require.NoError(t, g.Commit(ctx, d, nil)) })
		all.Go(func() {
			_, err := g.Load(ctx, "s")
			require.ErrorIs(t, err, hungUp)
		})
		time.Sleep(time.Second)
		cancel(hungUp)
		time.Sleep(time.Second)
		close(st.free)
		all.Wait()
		rec, err := st.Store.Get(t.Context(), "s")
		require.NoError(t, err)
		require.JSONEq(t, `{"n":1}`, string(rec.Data))
	})
}
