package gateway

import (
	"context"
	"fmt"

	"github.com/sessionbridge/sessionbridge/store"
)

// overAtOnce is how many sessions past their time a search for a client's newest one ends.
const overAtOnce = 16

// NewestOfClient returns the client's session that began last (Record.Began) of those that aren't
// over. Its cost doesn't depend on their number. With a store that is only a store.ClientIndex it
// looks through the 64 that were seen last. It returns ErrMissing if there is none, or
// ErrUnavailable.
func (g *Gateway) NewestOfClient(ctx context.Context, clientID string) (store.Record, error) {
	if clientID == "" || !g.FindsClients() {
		return store.Record{}, ErrMissing
	}
	for range overAtOnce {
		rec, err := g.newest(ctx, clientID)
		if err != nil || !rec.Expired(Now()) {
			return rec, err
		}
		if _, err := g.expire(ctx, rec.ID, nil); err != nil {
			return store.Record{}, err
		}
	}
	return store.Record{}, ErrMissing
}

// newest is one search, which may find a session past its time.
func (g *Gateway) newest(ctx context.Context, clientID string) (store.Record, error) {
	op := g.attached(ctx)
	defer op.stop()
	rec, found, err := g.newestOfClient(op, clientID)
	if err == nil && !found {
		err = ErrMissing
	} else if err != nil {
		err = g.failed(op, "find the client's session", err)
	}
	return rec, err
}

// SurplusOfClient returns the IDs of the client's sessions without a user, except the keep of them
// that began last: up to n, the oldest first. With a store that is only a store.ClientIndex, the
// keep are those that were seen last. It returns ErrUnavailable if the store fails.
func (g *Gateway) SurplusOfClient(ctx context.Context, clientID string, keep, n int) ([]string, error) {
	op := g.detached(ctx)
	defer op.stop()
	ids, err := g.surplusOfClient(op, clientID, keep, n)
	if err != nil {
		return nil, g.failed(op, fmt.Sprintf("find the sessions that a client has beyond %d", keep), err)
	}
	return ids, nil
}
