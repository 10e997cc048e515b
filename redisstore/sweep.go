package redisstore

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/sessionbridge/sessionbridge/redisstore/internal/codec"
	"github.com/sessionbridge/sessionbridge/redisstore/internal/conn"
	"github.com/sessionbridge/sessionbridge/redisstore/internal/scripts"
	"github.com/sessionbridge/sessionbridge/store"
)

// sweepChunk is the number of sessions that a script removes, which blocks Redis for about 2 ms.
const sweepChunk = 100

// Sweep implements store.Sweeper. It waits for the reply to a chunk regardless of the context, so
// that the removed sessions are returned. If the reply is lost, with the connection or after
// Options.Timeout, so are the records in it.
func (s *Store) Sweep(ctx context.Context, now time.Time, n int) (removed []store.Record, err error) {
	const doing = "sweep"
	if err := s.backend.Ready(ctx, doing); err != nil {
		return nil, err
	}
	for more := true; more && len(removed) < n; {
		if err := s.backend.Ready(ctx, doing); err != nil {
			return removed, err
		}
		var recs []store.Record
		atMost := min(n-len(removed), sweepChunk)
		recs, more, err = s.sweepOnce(context.WithoutCancel(ctx), doing, codec.Millis(now), atMost)
		removed = append(removed, recs...)
		if err != nil {
			return removed, err
		}
	}
	return removed, nil
}

// sweepOnce removes up to n sessions, in the order of their expiry. more reports whether another
// call may find some.
func (s *Store) sweepOnce(
	ctx context.Context, doing string, now uint64, n int,
) (removed []store.Record, more bool, err error) {
	shares := []int{n}
	if len(s.prefixes) > 1 {
		if shares, more, err = s.shares(ctx, doing, now, n); err != nil {
			return nil, false, err
		}
	}
	replies, failed := s.sweepShards(ctx, doing, now, shares, false)
	for _, fields := range replies { // with an error, too, because these sessions are removed
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
			if s.member != nil {
				s.member.SessionSwept(rec.ID)
			}
		}
	}
	slices.SortStableFunc(removed, func(a, b store.Record) int { return a.Expires.Compare(b.Expires) })
	return removed, more, failed
}

// shares returns how many of the n sessions that expired first are in each shard. Other processes
// may sweep at the same time, so that there are fewer when they are removed; more reports whether
// to look again.
func (s *Store) shares(ctx context.Context, doing string, now uint64, n int) (shares []int, more bool, err error) {
	all := make([]int, len(s.prefixes))
	for i := range all {
		all[i] = n
	}
	replies, err := s.sweepShards(ctx, doing, now, all, true)
	if err != nil {
		return nil, false, err
	}
	type due struct {
		at    uint64
		shard int
	}
	var first []due
	known := uint64(codec.MaxNumber) // the time up to which all shards have returned everything
	for shard, fields := range replies {
		last := uint64(0)
		for _, field := range fields[1:] {
			at, err := parseScore(field)
			if err != nil {
				return nil, false, conn.Damaged(doing, err)
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

// sweepShards runs the script on the shards that have a share, and returns their replies. With
// dryRun it removes nothing.
func (s *Store) sweepShards(
	ctx context.Context, doing string, now uint64, shares []int, dryRun bool,
) ([][]string, error) {
	flag := "0"
	if dryRun {
		flag = "1"
	}
	var calls []scripts.Call
	for i, share := range shares {
		if share > 0 {
			calls = append(calls, s.backend.scripts.Sweep.On(
				s.prefixes[i], strconv.FormatUint(now, 10), strconv.Itoa(share), flag, s.actor()))
		}
	}
	if len(calls) == 0 {
		return nil, nil
	}
	replies, failed := s.backend.RunAll(ctx, doing, calls)
	var all [][]string
	for _, reply := range replies {
		fields, err := conn.Texts(doing, reply)
		if err == nil && len(fields) == 0 {
			err = conn.Damaged(doing, conn.ErrReply)
		}
		if err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		all = append(all, fields)
	}
	return all, failed
}
