package redisstore

import (
	"cmp"
	"context"
	"slices"
	"strconv"

	"github.com/sessionbridge/sessionbridge/store"
)

var _ store.ClientOrder = (*Store)(nil)

// beganSize is how many bytes of a member of the index by client say when its session began.
const beganSize = 6

// NewestByClient implements store.ClientOrder. Each shard answers with up to n of the sessions that
// somebody is logged in with and of the others, however many there are.
func (s *Store) NewestByClient(ctx context.Context, clientID string, n int) ([]store.Record, error) {
	const doing = "newest by client"
	if err := s.engine.ready(ctx, doing); err != nil || clientID == "" || n <= 0 {
		return nil, err
	}
	args := []string{strconv.Itoa(n), strconv.FormatUint(placeOf(clientID), 10), strconv.FormatUint(guestPlaceOf(clientID), 10)}
	answers, err := s.askShards(ctx, doing, &s.engine.scripts.newest, args)
	if err != nil {
		return nil, err
	}
	var all []store.Record
	for _, fields := range answers {
		if len(fields)%2 != 0 {
			return nil, damaged(doing, errAnswer)
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

// SurplusByClient implements store.ClientOrder. Each shard answers with up to n IDs, however many
// sessions there are.
func (s *Store) SurplusByClient(ctx context.Context, clientID string, keep, n int) (ids []string, err error) {
	const doing = "surplus by client"
	if err := s.engine.ready(ctx, doing); err != nil || clientID == "" || n <= 0 {
		return nil, err
	}
	answers, err := s.askShards(ctx, doing, &s.engine.scripts.surplus, []string{strconv.Itoa(n), strconv.FormatUint(guestPlaceOf(clientID), 10)})
	if err != nil {
		return nil, err
	}
	total := 0
	var oldest []string // when it began and the member
	for _, fields := range answers {
		if len(fields) == 0 {
			return nil, damaged(doing, errAnswer)
		}
		count, err := strconv.Atoi(fields[0])
		if err != nil {
			return nil, damaged(doing, err)
		}
		total += count
		oldest = append(oldest, fields[1:]...)
	}
	slices.SortFunc(oldest, cmp.Compare)
	for _, entry := range oldest[:min(max(total-keep, 0), n, len(oldest))] {
		if len(entry) < beganSize {
			return nil, damaged(doing, errAnswer)
		}
		id, err := idOf(entry[beganSize:])
		if err != nil {
			return nil, damaged(doing, err)
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// askShards runs a script in all shards at once, and returns what each has answered.
func (s *Store) askShards(ctx context.Context, doing string, script *script, args []string) ([][]string, error) {
	calls := make([]call, len(s.prefixes))
	for i, prefix := range s.prefixes {
		calls[i] = call{script, prefix, args}
	}
	answers, err := s.engine.runAll(ctx, doing, calls)
	if err != nil {
		return nil, err
	}
	all := make([][]string, len(answers))
	for i, answer := range answers {
		if all[i], err = texts(doing, answer); err != nil {
			return nil, err
		}
	}
	return all, nil
}
