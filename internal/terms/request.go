package terms

import (
	"context"
	"errors"
	"fmt"
)

// Request asks a term to hold or to release an item.
type Request[I any] struct {
	Item I
	Hold bool
	Done chan error // for the reply; it has room for it
}

// Hold asks the current term to hold items, and waits for the replies. If the term ends meanwhile,
// it asks the next one.
func (l *Life[T, I]) Hold(ctx context.Context, items []I) error {
	return l.request(ctx, "hold", items, true)
}

// Release asks the current term to release items, which the caller has removed from what the node
// holds: the next term will not restore them.
func (l *Life[T, I]) Release(ctx context.Context, items []I) error {
	const doing = "release"
	if t := l.now.Load(); t == nil || t.Ctx.Err() != nil {
		return l.cfg.Ready(ctx, doing)
	}
	return l.request(ctx, doing, items, false)
}

func (l *Life[T, I]) request(ctx context.Context, doing string, items []I, hold bool) error {
	for {
		t, err := l.current(ctx, doing)
		if err != nil {
			return err
		}
		if err = l.requestOf(ctx, t, doing, items, hold); !errors.Is(err, ErrOver) {
			return err
		}
		t.End()
		if !hold {
			return nil
		}
	}
}

// requestOf is request of one term. ErrOver if that ends before the replies.
func (l *Life[T, I]) requestOf(ctx context.Context, t *current[T], doing string, items []I, hold bool) error {
	requests := make([]*Request[I], len(items))
	for i, it := range items {
		requests[i] = &Request[I]{it, hold, make(chan error, 1)}
		select {
		case l.cfg.Requests(t.of, it) <- requests[i]:
		case <-t.Ctx.Done():
			return ErrOver
		case <-ctx.Done():
			return l.notJoined(ctx, doing)
		}
	}
	for _, r := range requests {
		select {
		case err := <-r.Done:
			if err != nil {
				return err
			}
		case <-t.Ctx.Done():
			return ErrOver
		case <-ctx.Done():
			return fmt.Errorf("%s: %s: %w", l.cfg.Store, doing, context.Cause(ctx))
		}
	}
	return nil
}

// Signal wakes the receiver of a channel with room for one element.
func Signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
