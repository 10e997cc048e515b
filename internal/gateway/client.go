package gateway

import (
	"context"
	"fmt"
	"slices"

	"github.com/sessionbridge/sessionbridge/store"
)

const (
	overAtOnce = 16 // sessions past their time that a look for a client's newest ends on its way
	listAtMost = 64 // sessions of a client that are looked through where the store is a store.ClientIndex only
)

// FindsClients reports whether the store can find a client's sessions.
func (g *Gateway) FindsClients() bool { return g.order != nil || g.clients != nil }

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
func (g *Gateway) newest(ctx context.Context, clientID string) (newest store.Record, err error) {
	const doing = "find the client's session"
	op := g.attached(ctx)
	defer op.stop()
	if g.order == nil {
		newest, err = g.newestListed(op, clientID)
		if err == nil && newest.ID == "" {
			return newest, ErrMissing
		}
		return newest, g.failed(op, doing, err)
	}
	recs, err := g.order.NewestByClient(op, clientID, 1)
	switch {
	case err != nil:
	case len(recs) == 0:
		return newest, ErrMissing
	case len(recs) > 1:
		err = errTooManyAtOne
	case recs[0].ID == "":
		err = errNoRecord
	default:
		err = checkClient(clientID)(&recs[0])
	}
	if err != nil {
		return newest, g.failed(op, doing, err)
	}
	return recs[0], nil
}

// newestListed is newest with a store.ClientIndex.
func (g *Gateway) newestListed(ctx context.Context, clientID string) (newest store.Record, err error) {
	n := 0
	for rec, err := range g.clients.ByClient(ctx, clientID) {
		if err != nil {
			return store.Record{}, err
		}
		if !rec.Expired(Now()) && (newest.ID == "" || rec.Began().After(newest.Began())) {
			newest = rec
		}
		if n++; n == listAtMost {
			break
		}
	}
	return newest, nil
}

// failed counts a failure of the store and says that it is one, unless the caller has given up.
func (g *Gateway) failed(op *opContext, doing string, err error) error {
	if err == nil {
		return nil
	}
	if err = unavailable(op, doing, err); isUnavailable(err) {
		g.stats.failures.Add(1)
	}
	return err
}

// SurplusOfClient returns the IDs of the client's sessions without a user, but for the keep of them
// that began last: up to n, the oldest first. With a store that is a store.ClientIndex only the
// others are those that were seen last. ErrUnavailable.
func (g *Gateway) SurplusOfClient(ctx context.Context, clientID string, keep, n int) ([]string, error) {
	op := g.detached(ctx)
	defer op.stop()
	var ids []string
	var err error
	switch {
	case g.order != nil:
		ids, err = g.order.SurplusByClient(op, clientID, keep, n)
		if err == nil && slices.Contains(ids, "") {
			err = errNoRecord
		}
		if err == nil && len(ids) > n {
			err = errTooManyAtOne
		}
	case g.clients != nil:
		ids, err = g.surplusListed(op, clientID, keep, n)
	}
	if err != nil {
		return nil, g.failed(op, fmt.Sprintf("find the sessions that a client has beyond %d", keep), err)
	}
	return ids, nil
}

// surplusListed is SurplusOfClient with a store.ClientIndex.
func (g *Gateway) surplusListed(ctx context.Context, clientID string, keep, n int) (ids []string, err error) {
	looked, most := 0, keep+listAtMost
	for rec, err := range g.clients.ByClient(ctx, clientID) {
		if err != nil {
			return nil, err
		}
		if rec.UserID == "" {
			if keep--; keep < 0 {
				ids = append(ids, rec.ID)
			}
		}
		if looked++; looked == most {
			break
		}
	}
	slices.Reverse(ids)
	return ids[:min(n, len(ids))], nil
}
