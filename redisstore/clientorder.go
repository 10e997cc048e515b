package redisstore

import (
	"cmp"
	"context"
	"slices"
	"strconv"

	"github.com/sessionbridge/sessionbridge/redisstore/internal/codec"
	"github.com/sessionbridge/sessionbridge/redisstore/internal/conn"
	"github.com/sessionbridge/sessionbridge/redisstore/internal/scripts"
	"github.com/sessionbridge/sessionbridge/store"
)

// NewestByClient implements store.ClientOrder. Each shard returns at most n sessions with a user
// and n without, however many there are.
func (s *Store) NewestByClient(ctx context.Context, clientID string, n int) ([]store.Record, error) {
	const doing = "newest by client"
	if err := s.backend.Ready(ctx, doing); err != nil || clientID == "" || n <= 0 {
		return nil, err
	}
	scores := []uint64{codec.Score(clientID), codec.GuestScore(clientID)}
	replies, err := s.askShards(ctx, doing, &s.backend.scripts.Newest, strconv.Itoa(n),
		strconv.FormatUint(scores[0], 10), strconv.FormatUint(scores[1], 10))
	if err != nil {
		return nil, err
	}
	var all []store.Record
	for _, fields := range replies {
		if len(fields)%2 != 0 {
			return nil, conn.Damaged(doing, conn.ErrReply)
		}
		for i := 0; i < len(fields); i += 2 {
			rec, err := decode(doing, fields[i], fields[i+1])
			if err != nil {
				return nil, err
			}
			if rec.ClientID == clientID {
				all = append(all, rec)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b store.Record) int { return b.Began().Compare(a.Began()) })
	return all[:min(n, len(all))], nil
}

// SurplusByClient implements store.ClientOrder. Each shard returns at most n IDs, however many
// sessions there are.
func (s *Store) SurplusByClient(ctx context.Context, clientID string, keep, n int) (ids []string, err error) {
	const doing = "surplus by client"
	if err := s.backend.Ready(ctx, doing); err != nil || clientID == "" || n <= 0 {
		return nil, err
	}
	score := codec.GuestScore(clientID)
	replies, err := s.askShards(ctx, doing, &s.backend.scripts.Surplus, strconv.Itoa(n), strconv.FormatUint(score, 10))
	if err != nil {
		return nil, err
	}
	total := 0
	var oldest []string // members of the index: when a session began, and its own member
	for _, fields := range replies {
		if len(fields) == 0 {
			return nil, conn.Damaged(doing, conn.ErrReply)
		}
		count, err := strconv.Atoi(fields[0])
		if err != nil {
			return nil, conn.Damaged(doing, err)
		}
		total += count
		oldest = append(oldest, fields[1:]...)
	}
	slices.SortFunc(oldest, cmp.Compare)
	for _, member := range oldest[:min(max(total-keep, 0), n, len(oldest))] {
		if len(member) < scripts.BeganSize {
			return nil, conn.Damaged(doing, conn.ErrReply)
		}
		id, err := codec.ID(member[scripts.BeganSize:])
		if err != nil {
			return nil, conn.Damaged(doing, err)
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// askShards runs a script in all shards at once, and returns the reply of each.
func (s *Store) askShards(
	ctx context.Context, doing string, script *scripts.Script, args ...string,
) ([][]string, error) {
	calls := make([]scripts.Call, len(s.prefixes))
	for i, prefix := range s.prefixes {
		calls[i] = script.On(prefix, args...)
	}
	replies, err := s.backend.RunAll(ctx, doing, calls)
	if err != nil {
		return nil, err
	}
	all := make([][]string, len(replies))
	for i, reply := range replies {
		if all[i], err = conn.Texts(doing, reply); err != nil {
			return nil, err
		}
	}
	return all, nil
}
