package redisstore

import (
	"context"

	"github.com/redis/rueidis"

	"github.com/sessionbridge/sessionbridge/store"
)

// App implements store.Namespacer. All Apps are in the same namespace.
func (s *Store) App(name string) store.Store { return s.engine.store(name) }

// Close ends the store and those of its Apps: whatever is called afterwards gets store.ErrClosed, and so may what is under way. The connections of Open
// are closed, within about a second; a client that was passed to New is left alone. Nodes that haven't left and locks on users end, too. On an App's store it does nothing.
func (s *Store) Close() error {
	if s.app != "" {
		return nil
	}
	if s.engine.closed.Swap(true) {
		return nil
	}
	s.engine.background.close()
	if s.engine.ours {
		s.engine.client.Close()
	}
	return nil
}

// Ping implements store.Pinger: it fails unless every shard answers.
func (s *Store) Ping(ctx context.Context) error {
	client := s.engine.client
	commands := make([]rueidis.Completed, len(s.prefixes))
	for i, prefix := range s.prefixes {
		commands[i] = client.B().Exists().Key(prefix + byActivity).Build()
	}
	_, err := s.engine.doAll(ctx, "ping", commands)
	return err
}

// Optimize implements store.Optimizer. It removes what indexes have of sessions that Redis has dropped by itself, which costs a look at each
// session; Redis does other work in between. It is of use after a time in which nobody has swept.
func (s *Store) Optimize(ctx context.Context) error {
	const doing = "optimize"
	for _, prefix := range s.prefixes {
		for index, field := range map[string]string{byExpiry: "5", byActivity: "6", byUser: "7", byClient: "8"} {
			for page := "0"; page != ""; {
				answer, err := s.engine.run(ctx, doing, call{&s.engine.scripts.tidy, prefix, []string{index, field, page}})
				if err != nil {
					return err
				}
				if page, err = answer.ToString(); err != nil {
					return damaged(doing, err)
				}
			}
		}
	}
	return nil
}
