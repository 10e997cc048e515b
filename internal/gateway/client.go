package gateway

import (
	"context"
	"fmt"

	"github.com/sessionbridge/sessionbridge/store"
)

// overAtOnce is how many sessions past their time a look for a client's newest ends on its way.
const overAtOnce = 16

// NewestOfClient returns the client's session that began last (Record.Began) of those that aren't
// over. It costs the same however many there are; with a store that is a store.ClientIndex only it
// looks through the 64 that were seen last. ErrMissing when there is none, ErrUnavailable.
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

// newest is one look, which may find a session past its time.
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

// SurplusOfClient returns the IDs of the client's sessions without a user, but for the keep of them
// that began last: up to n, the oldest first. With a store that is a store.ClientIndex only, the
// others are those that were seen last. ErrUnavailable.
func (g *Gateway) SurplusOfClient(ctx context.Context, clientID string, keep, n int) ([]string, error) {
	op := g.detached(ctx)
	defer op.stop()
	ids, err := g.surplusOfClient(op, clientID, keep, n)
	if err != nil {
		return nil, g.failed(op, fmt.Sprintf("find the sessions that a client has beyond %d", keep), err)
	}
	return ids, nil
}
