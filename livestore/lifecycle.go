package livestore

import (
	"context"

	"github.com/sessionbridge/sessionbridge/store"
)

// App implements store.Namespacer. The empty name returns the store that New made, also on an App's
// store.
func (s *Store) App(name string) store.Store {
	root := s.root
	if name == "" {
		return root
	}
	if app, ok := root.apps.Load(name); ok {
		return app.(*Store) //nolint:forcetypeassert // nothing else is in there
	}
	app := newNamespace()
	app.root = root
	kept, _ := root.apps.LoadOrStore(name, app)
	return kept.(*Store) //nolint:forcetypeassert // nothing else is in there
}

// Close closes the store and its Apps, and discards the sessions. Later calls return
// store.ErrClosed. On an App's store it does nothing. It always returns nil.
func (s *Store) Close() error {
	if s.root != s || !s.closed.CompareAndSwap(false, true) {
		return nil
	}
	s.forget()
	s.apps.Range(func(_, app any) bool {
		app.(*Store).forget() //nolint:forcetypeassert // nothing else is in there
		return true
	})
	return nil
}

// Ping implements store.Pinger.
func (s *Store) Ping(ctx context.Context) error { return s.ready(ctx) }

// Optimize implements store.Optimizer. It releases the memory that is held in reserve; the store
// releases other memory by itself.
func (s *Store) Optimize(ctx context.Context) error {
	for i := range s.shards {
		if err := s.ready(ctx); err != nil {
			return err
		}
		s.shards[i].tidy()
		s.users.parts[i].tidy()
		s.clients.parts[i].tidy()
	}
	return nil
}

func (sh *shard) tidy() {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.sessions.clip()
}

func (s *Store) forget() {
	for i := range s.shards {
		sh := &s.shards[i]
		sh.mu.Lock()
		sh.sessions, sh.expiry, sh.activity = table{}, order{}, order{}
		sh.mu.Unlock()
	}
	for _, x := range []*index{&s.users, &s.clients} {
		for i := range x.parts {
			x.parts[i].forget()
		}
	}
}
