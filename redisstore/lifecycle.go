package redisstore

import (
	"context"

	"github.com/redis/rueidis"

	"github.com/sessionbridge/sessionbridge/redisstore/internal/conn"
	"github.com/sessionbridge/sessionbridge/redisstore/internal/scripts"
	"github.com/sessionbridge/sessionbridge/store"
)

// App implements store.Namespacer. All Apps share the namespace of the store.
func (s *Store) App(name string) store.Store { return s.backend.store(name) }

// Close closes the store and its Apps. Later calls return store.ErrClosed, and pending calls may.
// The connections of Open are closed within about a second; a client that was passed to New stays
// open. Nodes that haven't left and locks on users end, too. On an App's store Close does nothing.
func (s *Store) Close() error {
	if s.app != "" || !s.backend.Close() {
		return nil
	}
	s.backend.background.Close()
	if s.backend.ownsClient {
		s.backend.Client.Close()
	}
	return nil
}

// Ping implements store.Pinger. It fails unless every shard replies.
func (s *Store) Ping(ctx context.Context) error {
	client := s.backend.Client
	commands := make([]rueidis.Completed, len(s.prefixes))
	for i, prefix := range s.prefixes {
		commands[i] = client.B().Exists().Key(prefix + scripts.ByActivity).Build()
	}
	_, err := s.backend.DoAll(ctx, "ping", commands)
	return err
}

// Optimize implements store.Optimizer. It removes index entries of sessions that Redis has dropped,
// which requires a look at each session; Redis executes other commands in between. It is useful
// after a time without sweeps.
func (s *Store) Optimize(ctx context.Context) error {
	const doing = "optimize"
	fields := map[string]string{ // of the head, by index
		scripts.ByExpiry: "5", scripts.ByActivity: "6", scripts.ByUser: "7", scripts.ByClient: "8",
	}
	for _, prefix := range s.prefixes {
		for index, field := range fields {
			for page := "0"; page != ""; {
				reply, err := s.backend.Run(ctx, doing, s.backend.scripts.Tidy.On(prefix, index, field, page))
				if err != nil {
					return err
				}
				if page, err = reply.ToString(); err != nil {
					return conn.Damaged(doing, err)
				}
			}
		}
	}
	return nil
}
