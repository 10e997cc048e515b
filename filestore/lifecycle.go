package filestore

import (
	"cmp"
	"context"

	"github.com/sessionbridge/sessionbridge/store"
)

// App implements store.Namespacer. All Apps are in the same files.
func (s *Store) App(name string) store.Store {
	return &Store{engine: s.engine, space: s.engine.space(name)}
}

// Close ends the store and those of its Apps: whatever is called afterwards gets store.ErrClosed. It brings what the log has
// into the database. If the store couldn't be written it returns the reason, and leaves it to the next Open to recover
// what was acknowledged. On an App's store it does nothing.
func (s *Store) Close() error {
	if s.space.name != "" {
		return nil
	}
	return s.engine.close()
}

// Ping implements store.Pinger: it fails if the database can't be read, once changes are refused, and as long as they are because the disk is full.
func (s *Store) Ping(ctx context.Context) error {
	if err := s.ready(ctx); err != nil {
		return err
	}
	if err := cmp.Or(s.engine.failed(), s.engine.committer.full.failed()); err != nil {
		return err
	}
	_, err := s.engine.home.head()
	return err
}
