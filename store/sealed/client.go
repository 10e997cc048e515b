package sealed

import (
	"context"
	"errors"
	"math"
	"slices"

	"github.com/sessionbridge/sessionbridge/store"
)

type clientOrder struct {
	*Store
	of store.ClientOrder
}

// NewestByClient implements store.ClientOrder.
func (s clientOrder) NewestByClient(ctx context.Context, clientID string, n int) ([]store.Record, error) {
	found := s.reports.begin(s.app)
	defer found.end()
	var all []store.Record
	had := make(map[string]bool)
	for _, name := range oldestFirst(s.clientNames(clientID)) {
		recs, err := s.newest(ctx, name, n, found)
		if err != nil {
			return nil, err
		}
		for _, rec := range recs {
			if !had[rec.ID] && rec.ClientID == clientID {
				had[rec.ID] = true
				all = append(all, rec)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b store.Record) int { return b.Began().Compare(a.Began()) })
	return all[:min(max(n, 0), len(all))], nil
}

// newest returns the newest records under one name that can be opened.
func (s clientOrder) newest(ctx context.Context, name string, n int, found *findings) ([]store.Record, error) {
	for ask := n; ; ask *= 2 {
		recs, err := s.of.NewestByClient(ctx, name, ask)
		if err != nil {
			return nil, err
		}
		opened := recs[:0]
		for _, rec := range recs {
			if s.openListed(&rec, found) == nil {
				opened = append(opened, rec)
			}
		}
		if len(opened) >= n || len(recs) < ask || ask > math.MaxInt/2 {
			return opened, nil
		}
	}
}

// SurplusByClient implements store.ClientOrder. It reads records, of one client, only as long as
// the client has sessions that were sealed with different keys.
func (s clientOrder) SurplusByClient(ctx context.Context, clientID string, keep, n int) ([]string, error) {
	names := oldestFirst(s.clientNames(clientID))
	var with []string
	for _, name := range names {
		if len(names) == 1 {
			with = names
			break
		}
		some, err := s.of.SurplusByClient(ctx, name, 0, 1)
		if err != nil {
			return nil, err
		}
		if len(some) > 0 {
			with = append(with, name)
		}
	}
	switch len(with) {
	case 0:
		return nil, nil
	case 1:
		return s.of.SurplusByClient(ctx, with[0], keep, n)
	}
	return s.surplusOf(ctx, with, keep, n)
}

// mostOfClient is how many sessions of a client are looked at if they are under several names.
const mostOfClient = 1 << 16

// surplusOf is SurplusByClient for a client with sessions under several names.
func (s clientOrder) surplusOf(ctx context.Context, names []string, keep, n int) ([]string, error) {
	var all []store.Record
	had := make(map[string]bool)
	for _, name := range names {
		ids, err := s.of.SurplusByClient(ctx, name, 0, mostOfClient)
		if err != nil {
			return nil, err
		}
		for _, id := range ids {
			rec, err := s.inner.Get(ctx, id)
			switch {
			case errors.Is(err, store.ErrNotFound):
			case err != nil:
				return nil, err
			case rec.UserID == "" && !had[id]:
				had[id] = true
				rec.Data = nil
				all = append(all, rec)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b store.Record) int { return a.Began().Compare(b.Began()) })
	surplus := all[:min(max(len(all)-keep, 0), max(n, 0))]
	ids := make([]string, len(surplus))
	for i := range surplus {
		ids[i] = surplus[i].ID
	}
	return ids, nil
}

// oldestFirst returns the names in the order in which they are read: a record may move from another
// one to the first meanwhile.
func oldestFirst(names []string) []string {
	slices.Reverse(names)
	return names
}
