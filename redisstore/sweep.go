package redisstore

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/sessionbridge/sessionbridge/store"
)

// sweepPiece is how many sessions a script removes: Redis does nothing else meanwhile, for about 5 ms.
const sweepPiece = 100

// Sweep implements store.Sweeper. A piece that Redis has begun is waited for, whatever becomes of the context, so that what it removes
// is returned; if its answer is lost, with the connection or after Options.Timeout, so are the records in it.
func (s *Store) Sweep(ctx context.Context, now time.Time, n int) (removed []store.Record, err error) {
	const doing = "sweep"
	if err := s.engine.ready(ctx, doing); err != nil {
		return nil, err
	}
	for more := true; more && len(removed) < n; {
		if err := s.engine.ready(ctx, doing); err != nil {
			return removed, err
		}
		var some []store.Record
		some, more, err = s.sweep(context.WithoutCancel(ctx), doing, millisOf(now), min(n-len(removed), sweepPiece))
		removed = append(removed, some...)
		if err != nil {
			return removed, err
		}
	}
	return removed, nil
}

// sweep removes up to n, in order.
func (s *Store) sweep(ctx context.Context, doing string, now uint64, n int) (removed []store.Record, more bool, err error) {
	shares := []int{n}
	if len(s.prefixes) > 1 {
		if shares, more, err = s.shares(ctx, doing, now, n); err != nil {
			return nil, false, err
		}
	}
	answers, failed := s.sweepShards(ctx, doing, now, shares, false)
	for _, fields := range answers { // also with an error: they are removed
		if len(s.prefixes) == 1 {
			more = fields[0] == "1"
		}
		for i := 1; i+1 < len(fields); i += 2 {
			rec, err := decode(doing, fields[i], fields[i+1])
			if err != nil {
				failed = errors.Join(failed, err)
				continue
			}
			removed = append(removed, rec)
			s.forget(rec.ID)
		}
	}
	slices.SortStableFunc(removed, func(a, b store.Record) int { return a.Expires.Compare(b.Expires) })
	return removed, more, failed
}

// shares returns how many of the n that expired first are in which shard. Others may sweep at the same time, so that there are fewer when they
// are to be removed: more says that it is worth looking again.
func (s *Store) shares(ctx context.Context, doing string, now uint64, n int) (shares []int, more bool, err error) {
	all := make([]int, len(s.prefixes))
	for i := range all {
		all[i] = n
	}
	answers, err := s.sweepShards(ctx, doing, now, all, true)
	if err != nil {
		return nil, false, err
	}
	type due struct {
		at    uint64
		shard int
	}
	var first []due
	known := uint64(maxNumber) // up to when all shards have said what they have
	for shard, fields := range answers {
		last := uint64(0)
		for _, field := range fields[1:] {
			at, err := placeFrom(field)
			if err != nil {
				return nil, false, damaged(doing, err)
			}
			last = at
			first = append(first, due{last, shard})
		}
		if fields[0] == "1" {
			more, known = true, min(known, last)
		}
	}
	slices.SortFunc(first, func(a, b due) int { return cmp.Compare(a.at, b.at) })
	shares = make([]int, len(s.prefixes))
	for i, d := range first {
		if i == n || d.at > known {
			more = true
			break
		}
		shares[d.shard]++
	}
	return shares, more || len(first) > 0, nil
}

// sweepShards runs the script on the shards that have a share, and returns what it has answered.
func (s *Store) sweepShards(ctx context.Context, doing string, now uint64, shares []int, look bool) ([][]string, error) {
	flag := "0"
	if look {
		flag = "1"
	}
	var calls []call
	for i, share := range shares {
		if share > 0 {
			calls = append(calls, call{&s.engine.scripts.sweep, s.prefixes[i], []string{
				strconv.FormatUint(now, 10), strconv.Itoa(share), flag, s.actor(),
			}})
		}
	}
	if len(calls) == 0 {
		return nil, nil
	}
	answers, failed := s.engine.runAll(ctx, doing, calls)
	var all [][]string
	for _, answer := range answers {
		fields, err := texts(doing, answer)
		if err == nil && len(fields) == 0 {
			err = damaged(doing, errAnswer)
		}
		if err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		all = append(all, fields)
	}
	return all, failed
}
