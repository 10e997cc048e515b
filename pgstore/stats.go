package pgstore

import (
	"context"
	"time"

	"github.com/sessionbridge/sessionbridge/pgstore/internal/schema"
)

// Stats is the state of the table of sessions, of all Apps, as PostgreSQL knows it.
type Stats struct {
	Sessions int64 // an estimate
	Dead     int64 // an estimate of the old versions of sessions that take space, until vacuum removes them

	TableBytes, IndexBytes int64

	// OldestTransaction is how long the oldest open transaction of the server may have prevented that
	// old versions are removed, 0 without one. While it grows, so does the table, with every write: a
	// minute is a reason for a warning. Transactions of other roles are seen only by a member of
	// pg_read_all_stats. Replication slots and standbys with hot_standby_feedback aren't seen.
	OldestTransaction time.Duration
}

// Stats returns the state of the table of sessions: one statement, which doesn't read the table.
func (s *Store) Stats(ctx context.Context) (stats Stats, err error) {
	var oldest int64
	err = s.backend.RepeatRow(ctx, "stats",
		[]any{&stats.Sessions, &stats.Dead, &stats.TableBytes, &stats.IndexBytes, &oldest},
		s.backend.statements.stats, schema.Quote(s.backend.schema)+".sessions")
	if err != nil {
		return Stats{}, err
	}
	stats.OldestTransaction = time.Duration(oldest) * time.Microsecond
	return stats, nil
}
