package filestore

import (
	"bytes"
	"cmp"
	"context"
	"slices"

	"github.com/sessionbridge/sessionbridge/internal/uuidtext"
	"github.com/sessionbridge/sessionbridge/store"
)

// NewestByClient implements store.ClientOrder. It costs about 2 µs for each session of the client.
func (s *Store) NewestByClient(ctx context.Context, clientID string, n int) (recs []store.Record, err error) {
	found, err := s.beginnings(ctx, clientID, false)
	if err != nil || n <= 0 {
		return nil, err
	}
	newest := func(yield func(string, error) bool) {
		for i := len(found) - 1; i >= 0 && yield(found[i].key, nil); i-- {
		}
	}
	for rec, err := range s.records(ctx, newest, func(rec *store.Record) bool { return rec.ClientID == clientID }) {
		if err != nil {
			return nil, err
		}
		if recs = append(recs, rec); len(recs) == n {
			break
		}
	}
	return recs, nil
}

// SurplusByClient implements store.ClientOrder. It costs about 2 µs for each session of the client.
func (s *Store) SurplusByClient(ctx context.Context, clientID string, keep, n int) ([]string, error) {
	found, err := s.beginnings(ctx, clientID, true)
	if err != nil {
		return nil, err
	}
	surplus := found[:min(max(len(found)-keep, 0), max(n, 0))]
	ids := make([]string, len(surplus))
	for i := range surplus {
		if ids[i], err = decodeID([]byte(surplus[i].key)); err != nil {
			return nil, err
		}
	}
	return ids, nil
}

// beginnings returns when the client's sessions began, the oldest first; with anonymous, only those
// without a user.
func (s *Store) beginnings(ctx context.Context, clientID string, anonymous bool) ([]moment, error) {
	if err := s.ready(ctx); err != nil || clientID == "" {
		return nil, err
	}
	keys, err := s.clientKeys(clientID)
	if err != nil {
		return nil, err
	}
	_, owner := clientPrefix(clientID)
	_, isUUID := uuidtext.Parse(clientID)
	found := make([]moment, 0, len(keys))
	err = s.lookAll(ctx, keys, func(key string, v value) error {
		user, client := v.owner()
		if !bytes.Equal(client, owner) || v.uuidClient() != isUUID || anonymous && len(user) > 0 {
			return nil
		}
		at, err := v.began()
		found = append(found, moment{at, key})
		return err
	})
	slices.SortFunc(found, func(a, b moment) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.key, b.key)) })
	return found, err
}
