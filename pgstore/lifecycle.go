package pgstore

import (
	"context"

	"github.com/sessionbridge/sessionbridge/store"
)

// App implements store.Namespacer. All Apps share the tables of the store. The name must be UTF-8
// without NUL; with another one the App has no sessions and stores none.
func (s *Store) App(name string) store.Store { return s.backend.store(name) }

// Close closes the store and its Apps. Later calls return store.ErrClosed, and pending calls may. It
// waits for pending statements; a pool that was passed to New stays open. Nodes that haven't left and
// locks on users end, too. On an App's store Close does nothing.
func (s *Store) Close() error {
	if s.app != "" || !s.backend.Close() {
		return nil
	}
	s.backend.background.Close()
	if s.backend.ownsPool {
		s.backend.Pool.Close()
	}
	return nil
}

// Ping implements store.Pinger. It fails unless the role may read the sessions.
func (s *Store) Ping(ctx context.Context) error {
	return s.backend.Exec(ctx, "ping", s.backend.statements.ping)
}

// Optimize implements store.Optimizer. It runs VACUUM on the sessions, regardless of Options.Timeout,
// which makes the space of sessions that have ended available to others and updates the statistics of
// the planner. Autovacuum does the same by itself: Optimize is useful after many sessions have ended
// at once. The role must own the table; otherwise PostgreSQL skips it with a warning.
func (s *Store) Optimize(ctx context.Context) error {
	const doing = "optimize"
	if err := s.backend.Ready(ctx, doing); err != nil {
		return err
	}
	_, err := s.backend.Pool.Exec(ctx, s.backend.statements.vacuum)
	return s.backend.Explain(ctx, doing, err)
}
