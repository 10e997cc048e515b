package redisstore

import (
	"context"
	"errors"
	"sync"

	"github.com/sessionbridge/sessionbridge/redisstore/internal/conn"
	"github.com/sessionbridge/sessionbridge/store"
)

const (
	// endAllChunk is the number of sessions that a script ends, a page, which blocks Redis for about
	// 0.2 ms.
	endAllChunk = "60"

	// endAllWorkers is the number of scripts in flight: while the replies to some are decoded, Redis
	// executes the others.
	endAllWorkers = 4

	endingAll = "end all"
)

// EndAll ends every session that exists during the whole call, with a reason as End does, at a
// fraction of the cost of an End for each, and calls ended with each of them, one at a time. A session
// that is created meanwhile may be ended or not. Each session is reported by the call that has ended
// it and by no other. Redis executes other commands in between.
//
// It is for operators, after a leak say: all nodes are notified, and close the connections. A Bridge's
// DestroyAll takes longer, because it leaves alone the sessions that are created during the call.
//
// It waits for the replies to what it has sent regardless of the context, so that the sessions in
// them are reported. With an error some sessions may be left. If a reply is lost, with the connection
// or after Options.Timeout, so are the records in it. ErrReplicas means that all sessions are ended.
func (s *Store) EndAll(ctx context.Context, reason string, ended func(store.Record)) error {
	reason = truncated(reason)
	working, stop := context.WithCancel(ctx)
	defer stop()
	var reporting sync.Mutex
	report := func(recs []store.Record) {
		reporting.Lock()
		defer reporting.Unlock()
		for i := range recs {
			ended(recs[i])
		}
	}
	var workers sync.WaitGroup
	shards := len(s.prefixes)
	failures := make([]error, endAllWorkers)
	for w := range failures {
		workers.Go(func() {
			for shard := w % shards; shard < shards && working.Err() == nil; shard += endAllWorkers {
				if failures[w] = s.endShard(working, shard, reason, report); failures[w] != nil {
					stop()
				}
			}
		})
	}
	workers.Wait()
	failed := errors.Join(failures...)
	if failed == nil {
		failed = s.backend.Ready(ctx, endingAll)
	}
	for i := 0; i < shards && failed == nil; i++ {
		failed = s.backend.WaitForReplicas(ctx, endingAll, s.prefixes[i])
	}
	return failed
}

// endShard ends the sessions of a shard until there are none, or until ctx ends.
func (s *Store) endShard(ctx context.Context, shard int, reason string, report func([]store.Record)) error {
	for more := true; more && ctx.Err() == nil; {
		reply, err := s.backend.Run(context.WithoutCancel(ctx), endingAll, s.backend.scripts.EndAll.On(
			s.prefixes[shard], endAllChunk, s.actor(), reason))
		if err != nil {
			return err
		}
		fields, err := conn.Texts(endingAll, reply)
		if err != nil {
			return err
		}
		if len(fields)%2 != 1 {
			return conn.Damaged(endingAll, conn.ErrReply)
		}
		more = fields[0] == "1"
		recs, err := s.endedBy(shard, reason, fields[1:])
		report(recs)
		if err != nil {
			return err
		}
	}
	return nil
}

// endedBy decodes the sessions that a script has ended; fields are members and values. With an error
// it returns the others.
func (s *Store) endedBy(shard int, reason string, fields []string) (recs []store.Record, failed error) {
	recs = make([]store.Record, 0, len(fields)/2)
	for i := 0; i < len(fields); i += 2 {
		if s.member != nil {
			s.member.SessionDestroyed(shard, fields[i], reason)
		}
		rec, err := decode(endingAll, fields[i], fields[i+1])
		if err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		recs = append(recs, rec)
	}
	return recs, failed
}
