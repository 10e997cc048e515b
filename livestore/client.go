package livestore

import (
	"bytes"
	"cmp"
	"context"
	"slices"

	"github.com/sessionbridge/sessionbridge/store"
)

var _ store.ClientOrder = (*Store)(nil)

// NewestByClient implements store.ClientOrder. It costs about 100 ns for each session of the
// client.
func (s *Store) NewestByClient(ctx context.Context, clientID string, n int) ([]store.Record, error) {
	found, err := s.beginnings(ctx, clientID, false)
	if err != nil {
		return nil, err
	}
	var recs []store.Record
	for i := len(found) - 1; i >= 0 && len(recs) < n; i-- {
		if rec, ok := s.recordOf(found[i].entry); ok && rec.ClientID == clientID {
			recs = append(recs, rec)
		}
	}
	return recs, nil
}

// SurplusByClient implements store.ClientOrder. It costs about 100 ns for each session of the
// client.
func (s *Store) SurplusByClient(ctx context.Context, clientID string, keep, n int) ([]string, error) {
	found, err := s.beginnings(ctx, clientID, true)
	if err != nil {
		return nil, err
	}
	surplus := found[:min(max(len(found)-keep, 0), max(n, 0))]
	ids := make([]string, len(surplus))
	for i := range surplus {
		ids[i] = surplus[i].id
	}
	return ids, nil
}

// beginning is an entry with the time at which its session began.
type beginning struct {
	at    int64
	id    string
	entry *entry
}

// beginnings returns the client's sessions, the oldest first. anonymous: only those without a user.
func (s *Store) beginnings(ctx context.Context, clientID string, anonymous bool) ([]beginning, error) {
	if err := s.ready(ctx); err != nil || clientID == "" {
		return nil, err
	}
	hash := s.hash(clientID)
	var found []beginning
	for _, e := range s.clients.part(hash).snapshot(hash, clientID) {
		if b, ok := s.shard(e.hash[byID]).beginning(e, anonymous); ok {
			found = append(found, b)
		}
	}
	slices.SortFunc(found, func(a, b beginning) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.id, b.id)) })
	return found, nil
}

func (sh *shard) beginning(e *entry, anonymous bool) (b beginning, ok bool) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if e.dead || anonymous && e.names.userID() != "" {
		return b, false
	}
	var rec store.Record
	e.payload.fill(&rec)
	return beginning{rec.Began().UnixMicro(), e.names.id(), e}, true
}

// recordOf returns the current record of e, or false if it is gone.
func (s *Store) recordOf(e *entry) (rec store.Record, ok bool) {
	sh := s.shard(e.hash[byID])
	sh.mu.Lock()
	if e.dead {
		sh.mu.Unlock()
		return rec, false
	}
	l := sh.look(e)
	sh.mu.Unlock()
	rec.Data = bytes.Clone(l.fill(&rec))
	sh.looked.Add(1)
	return rec, true
}
