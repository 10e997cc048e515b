package redisstore

import (
	"context"
	"strconv"

	"github.com/sessionbridge/sessionbridge/redisstore/internal/codec"
	"github.com/sessionbridge/sessionbridge/redisstore/internal/conn"
	"github.com/sessionbridge/sessionbridge/redisstore/internal/membership"
	"github.com/sessionbridge/sessionbridge/store"
)

// Keep implements store.Keeper: one round trip. When the memory of Redis is full it returns an error
// that says so.
func (s *Store) Keep(ctx context.Context, to store.KeptFor, m store.KeptMessage, limits store.KeepLimits) error {
	topic, member, binary := to.Topic(), "", "0"
	if to.SessionID != "" {
		member = codec.Member(to.SessionID)
	}
	if m.Binary {
		binary = "1"
	}
	score, entry := membership.Announcement(topic, "")
	n, err := s.backend.RunInt(ctx, "keep a message", s.backend.scripts.Keep.On(
		s.keptPrefix(topic), codec.KeptName(to), member, s.actor(), score, entry,
		strconv.FormatInt(max(limits.For.Milliseconds(), 1), 10),
		strconv.Itoa(limits.Messages), strconv.Itoa(limits.Bytes), binary, string(m.Data)))
	if err == nil && n == 0 {
		err = store.ErrNotFound
	}
	return err
}

// Kept implements store.Keeper: one round trip.
func (s *Store) Kept(ctx context.Context, to store.KeptFor, after uint64) (kept store.Kept, err error) {
	const doing, width = "read kept messages", 4
	reply, err := s.backend.Run(ctx, doing, s.backend.scripts.Kept.On(
		s.keptPrefix(to.Topic()), codec.KeptName(to), strconv.FormatUint(after, 10)))
	if err != nil {
		return kept, err
	}
	fields, err := conn.Texts(doing, reply)
	if err != nil {
		return kept, err
	}
	number := func(text string) (n uint64) {
		n, bad := strconv.ParseUint(text, 10, 64)
		if bad != nil {
			err = conn.Damaged(doing, conn.ErrReply)
		}
		return n
	}
	if len(fields)%width != 2 {
		return kept, conn.Damaged(doing, conn.ErrReply)
	}
	kept.First, kept.Last = number(fields[0]), number(fields[1])
	for fields = fields[2:]; len(fields) > 0; fields = fields[width:] {
		kept.Messages = append(kept.Messages, store.KeptMessage{
			Number: number(fields[0]), Prev: number(fields[1]), Binary: fields[2] == "1", Data: []byte(fields[3]),
		})
	}
	if err != nil {
		return store.Kept{}, err
	}
	return kept, nil
}

// keptPrefix returns the prefix of the shard that has a topic.
func (s *Store) keptPrefix(topic string) string {
	return s.prefixes[codec.Shard(codec.ClientPlace(topic), len(s.prefixes))]
}
