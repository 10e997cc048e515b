package pgstore

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/sessionbridge/sessionbridge/pgstore/internal/codec"
	"github.com/sessionbridge/sessionbridge/store"
)

// Keep implements store.Keeper: one statement, which waits for other messages to the same session or
// user. Nodes remove messages whose time is over, once a minute. It returns ErrText if the user is not
// UTF-8 or contains NUL.
func (s *Store) Keep(ctx context.Context, to store.KeptFor, m store.KeptMessage, limits store.KeepLimits) error {
	const doing = "keep a message"
	if err := s.backend.Ready(ctx, doing); err != nil {
		return err
	}
	topic, data := codec.Topic(to), m.Data
	switch {
	case s.storable(topic):
	case to.SessionID != "":
		return store.ErrNotFound
	default:
		return fmt.Errorf("%w: %s: a user must be UTF-8 without NUL", ErrText, doing)
	}
	if data == nil {
		data = []byte{}
	}
	var kept bool
	var told []string
	err := s.backend.Row(ctx, doing, []any{&kept, &told}, s.backend.statements.keep, s.actor(), s.app, topic,
		to.SessionID, max(limits.For.Microseconds(), 1), limits.Messages, limits.Bytes, m.Binary, data)
	switch {
	case err != nil:
		return err
	case !kept:
		return store.ErrNotFound
	}
	s.backend.waker.Wake(told)
	return nil
}

// Kept implements store.Keeper: one statement. A log exists for 15 days after the last call for it, or a
// little less.
func (s *Store) Kept(ctx context.Context, to store.KeptFor, after uint64) (kept store.Kept, err error) {
	const doing = "read kept messages"
	if err := s.backend.Ready(ctx, doing); err != nil {
		return kept, err
	}
	topic := codec.Topic(to)
	if !s.storable(topic) {
		return kept, fmt.Errorf("%w: %s: an ID or a user must be UTF-8 without NUL", ErrText, doing)
	}
	err = s.backend.Repeat(ctx, doing, func(rows pgx.Rows) error {
		var number, prev *int64
		var first, last int64
		var binary *bool
		var data []byte
		err := rows.Scan(&first, &last, &number, &prev, &binary, &data)
		kept.First, kept.Last = uint64(first), uint64(last) //nolint:gosec // not negative
		if err == nil && number != nil {
			kept.Messages = append(kept.Messages, store.KeptMessage{
				Number: uint64(*number), Prev: uint64(*prev), Binary: *binary, Data: data, //nolint:gosec // not negative
			})
		}
		return err
	}, s.backend.statements.kept, s.app, topic, int64(min(after, maxNumber))) //nolint:gosec // limited
	if err != nil {
		return store.Kept{}, err
	}
	return kept, nil
}

// maxNumber is the greatest number that PostgreSQL can compare.
const maxNumber = 1<<63 - 1
