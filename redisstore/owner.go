package redisstore

import (
	"cmp"
	"context"
	"iter"
	"slices"
	"strconv"

	"github.com/sessionbridge/sessionbridge/store"
)

// few is how many sessions of a user or a client are read at once with the question where they are. Of more, this many are read at a time, when it is
// their turn: the others may have changed by then.
const few = 16

// ByUser implements store.UserIndex.
func (s *Store) ByUser(ctx context.Context, userID string) iter.Seq2[store.Record, error] {
	return s.by(ctx, "by user", byUser, userID, "0", []uint64{placeOf(userID)}, func(rec *store.Record) string { return rec.UserID })
}

// ByClient implements store.ClientIndex.
func (s *Store) ByClient(ctx context.Context, clientID string) iter.Seq2[store.Record, error] {
	places := []uint64{placeOf(clientID), guestPlaceOf(clientID)}
	return s.by(ctx, "by client", byClient, clientID, strconv.Itoa(beganSize), places, func(rec *store.Record) string { return rec.ClientID })
}

// found is a session that may be of the owner. Unless it is read, value is only the beginning, or nothing.
type found struct {
	entry // at: when it was seen
	value string
	read  bool
}

// by yields the sessions at the places of an index whose members have so many bytes before their IDs.
func (s *Store) by(ctx context.Context, doing, index, owner, skip string, places []uint64, of func(*store.Record) string) iter.Seq2[store.Record, error] {
	return func(yield func(store.Record, error) bool) {
		if err := s.engine.ready(ctx, doing); err != nil || owner == "" {
			if err != nil {
				yield(store.Record{}, err)
			}
			return
		}
		all, err := s.find(ctx, doing, index, skip, places)
		if err != nil {
			yield(store.Record{}, err)
			return
		}
		for i := range all {
			if !all[i].read {
				if err := s.readFound(ctx, doing, all[i:min(i+few, len(all))]); err != nil {
					yield(store.Record{}, err)
					return
				}
			}
			if all[i].value == "" {
				continue
			}
			rec, err := decode(doing, all[i].member, all[i].value)
			if err != nil {
				yield(store.Record{}, err)
				return
			}
			all[i].value = ""
			if of(&rec) == owner && !yield(rec, nil) {
				return
			}
		}
	}
}

// find asks all shards at once, and returns what they have, the last seen first.
func (s *Store) find(ctx context.Context, doing, index, skip string, places []uint64) (all []found, err error) {
	atOnce := max(few/len(s.prefixes), 4)
	args := []string{index, skip, strconv.Itoa(atOnce)}
	for _, at := range places {
		args = append(args, strconv.FormatUint(at, 10))
	}
	calls := make([]call, len(s.prefixes))
	for i, prefix := range s.prefixes {
		calls[i] = call{&s.engine.scripts.find, prefix, args}
	}
	answers, err := s.engine.runAll(ctx, doing, calls)
	if err != nil {
		return nil, err
	}
	for i, answer := range answers {
		fields, err := texts(doing, answer)
		if err != nil {
			return nil, err
		}
		if len(fields)%2 != 0 {
			return nil, damaged(doing, errAnswer)
		}
		for j := 0; j < len(fields); j += 2 {
			if fields[j+1] == "" {
				continue // it is gone
			}
			v, err := open(fields[j+1])
			if err != nil {
				return nil, damaged(doing, err)
			}
			all = append(all, found{entry{s.prefixes[i], fields[j], v.number(atSeen)}, fields[j+1], len(fields) <= 2*atOnce})
		}
	}
	slices.SortStableFunc(all, func(a, b found) int { return cmp.Compare(b.at, a.at) })
	if len(all) > few {
		for i := range all {
			all[i].value, all[i].read = "", false
		}
	}
	return all, nil
}

// readFound reads those that aren't read yet.
func (s *Store) readFound(ctx context.Context, doing string, some []found) error {
	var entries []entry
	var to []*found
	for i := range some {
		if f := &some[i]; !f.read {
			entries, to = append(entries, f.entry), append(to, f)
		}
	}
	values, err := s.values(ctx, doing, entries)
	if err != nil {
		return err
	}
	for i, f := range to {
		f.value, f.read = values[i], true
	}
	return nil
}
