package redisstore

import (
	"cmp"
	"context"
	"iter"
	"slices"
	"strconv"

	"github.com/sessionbridge/sessionbridge/redisstore/internal/codec"
	"github.com/sessionbridge/sessionbridge/redisstore/internal/conn"
	"github.com/sessionbridge/sessionbridge/redisstore/internal/scripts"
	"github.com/sessionbridge/sessionbridge/store"
)

// few is the number of sessions of a user or a client that are read together with the index. If
// there are more, they are read in chunks of this size while they are yielded, because they may
// change meanwhile.
const few = 16

// ByUser implements store.UserIndex.
func (s *Store) ByUser(ctx context.Context, userID string) iter.Seq2[store.Record, error] {
	return s.byOwner(ctx, query{
		doing: "by user", index: scripts.ByUser, owner: userID, scores: []uint64{codec.Score(userID)},
		ownerOf: func(rec *store.Record) string { return rec.UserID },
	})
}

// ByClient implements store.ClientIndex.
func (s *Store) ByClient(ctx context.Context, clientID string) iter.Seq2[store.Record, error] {
	return s.byOwner(ctx, query{
		doing: "by client", index: scripts.ByClient, owner: clientID,
		scores: []uint64{codec.Score(clientID), codec.GuestScore(clientID)}, skip: scripts.BeganSize,
		ownerOf: func(rec *store.Record) string { return rec.ClientID },
	})
}

// query asks for the sessions of a user or a client.
type query struct {
	doing, index, owner string
	scores              []uint64
	skip                int // number of bytes that precede the ID in a member of the index
	ownerOf             func(*store.Record) string
}

// candidate is a session that may belong to the owner. value is complete only if read.
type candidate struct {
	entry // score: when it was seen
	value string
	read  bool
}

func (s *Store) byOwner(ctx context.Context, q query) iter.Seq2[store.Record, error] {
	return func(yield func(store.Record, error) bool) {
		if err := s.backend.Ready(ctx, q.doing); err != nil || q.owner == "" {
			if err != nil {
				yield(store.Record{}, err)
			}
			return
		}
		all, err := s.candidates(ctx, q)
		if err != nil {
			yield(store.Record{}, err)
			return
		}
		for i := range all {
			if !all[i].read {
				if err := s.readCandidates(ctx, q.doing, all[i:min(i+few, len(all))]); err != nil {
					yield(store.Record{}, err)
					return
				}
			}
			if all[i].value == "" {
				continue
			}
			rec, err := decode(q.doing, all[i].member, all[i].value)
			if err != nil {
				yield(store.Record{}, err)
				return
			}
			all[i].value = ""
			if q.ownerOf(&rec) == q.owner && !yield(rec, nil) {
				return
			}
		}
	}
}

// candidates asks all shards at once, and returns their sessions, the last seen first.
func (s *Store) candidates(ctx context.Context, q query) (all []candidate, err error) {
	atOnce := max(few/len(s.prefixes), 4)
	args := []string{q.index, strconv.Itoa(q.skip), strconv.Itoa(atOnce)}
	for _, score := range q.scores {
		args = append(args, strconv.FormatUint(score, 10))
	}
	calls := make([]scripts.Call, len(s.prefixes))
	for i, prefix := range s.prefixes {
		calls[i] = s.backend.scripts.Find.On(prefix, args...)
	}
	replies, err := s.backend.RunAll(ctx, q.doing, calls)
	if err != nil {
		return nil, err
	}
	for i, reply := range replies {
		fields, err := conn.Texts(q.doing, reply)
		if err != nil {
			return nil, err
		}
		if len(fields)%2 != 0 {
			return nil, conn.Damaged(q.doing, conn.ErrReply)
		}
		for j := 0; j < len(fields); j += 2 {
			member, value := fields[j], fields[j+1]
			if value == "" {
				continue // the session is gone
			}
			head, err := codec.OpenHead(value)
			if err != nil {
				return nil, conn.Damaged(q.doing, err)
			}
			all = append(all, candidate{entry{s.prefixes[i], member, head.Seen()}, value, len(fields) <= 2*atOnce})
		}
	}
	slices.SortStableFunc(all, func(a, b candidate) int { return cmp.Compare(b.score, a.score) })
	if len(all) > few {
		for i := range all {
			all[i].value, all[i].read = "", false
		}
	}
	return all, nil
}

// readCandidates reads the values that haven't been read yet.
func (s *Store) readCandidates(ctx context.Context, doing string, candidates []candidate) error {
	var entries []entry
	var unread []*candidate
	for i := range candidates {
		if c := &candidates[i]; !c.read {
			entries, unread = append(entries, c.entry), append(unread, c)
		}
	}
	values, err := s.values(ctx, doing, entries)
	if err != nil {
		return err
	}
	for i, c := range unread {
		c.value, c.read = values[i], true
	}
	return nil
}
