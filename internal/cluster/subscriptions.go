package cluster

import (
	"cmp"
	"context"
	"sync"

	"github.com/sessionbridge/sessionbridge/internal/workers"
	"github.com/sessionbridge/sessionbridge/store"
)

// Topic is a session or a client: one of the fields is set. The zero Topic is none.
type Topic struct{ SessionID, ClientID string }

// maxRetries is how many topics are tried again at a time.
const maxRetries = 1024

// subscriptions has the topics that are retained, and whether the node is subscribed to them.
type subscriptions struct {
	cfg  *Config
	node store.Node
	pool *workers.Pool

	mu      sync.Mutex
	topics  map[Topic]*subscription
	missing map[Topic]struct{} // retained, but not subscribed to: to be tried again
}

// subscription is the state of one topic.
type subscription struct {
	refs       int
	subscribed bool
	busy       chan struct{} // closed when the store has answered; nil: it isn't asked
}

func newSubscriptions(node store.Node, cfg *Config) subscriptions {
	return subscriptions{
		cfg: cfg, node: node, pool: cfg.Workers.Pool(64),
		topics: make(map[Topic]*subscription), missing: make(map[Topic]struct{}),
	}
}

func (s *subscriptions) retain(t Topic) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sub := s.topics[t]
	if sub == nil {
		sub = &subscription{}
		s.topics[t] = sub
	}
	sub.refs++
	if !sub.subscribed {
		s.missing[t] = struct{}{}
	}
}

func (s *subscriptions) release(t Topic) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sub := s.topics[t]
	if sub == nil {
		return
	}
	if sub.refs--; sub.refs == 0 && sub.busy == nil {
		s.unsubscribe(t, sub)
	}
}

// unsubscribe forgets a topic that isn't retained. The lock is held, and the store is not being
// asked about the topic.
func (s *subscriptions) unsubscribe(t Topic, sub *subscription) {
	delete(s.missing, t)
	if !sub.subscribed || s.cfg.Workers.Stopped() { // the node is about to leave
		delete(s.topics, t)
		return
	}
	sub.subscribed, sub.busy = false, make(chan struct{})
	s.pool.Go(func() {
		defer s.answered([]Topic{t}, false) // also if the store panics
		ctx, cancel := s.limit(context.Background())
		defer cancel()
		if err := s.node.Release(ctx, t.SessionID, t.ClientID); err != nil {
			s.cfg.Failed(ctx, "unsubscribe from a session", t.SessionID, err)
		}
	})
}

// answered notes the store's answer: whether the node is subscribed to the topics.
func (s *subscriptions) answered(topics []Topic, subscribed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range topics {
		sub := s.topics[t]
		close(sub.busy)
		sub.busy, sub.subscribed = nil, subscribed
		switch {
		case sub.refs == 0:
			s.unsubscribe(t, sub)
		case subscribed:
			delete(s.missing, t)
		default:
			s.missing[t] = struct{}{}
		}
	}
}

// claim returns the topics that the caller has to ask the store for, or a channel to wait for
// first. If it returns neither, the node is subscribed to all.
func (s *subscriptions) claim(topics []Topic) (mine []Topic, wait <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range topics {
		if sub := s.topics[t]; sub != nil && sub.busy != nil {
			return nil, sub.busy
		}
	}
	for _, t := range topics {
		if sub := s.topics[t]; sub != nil && !sub.subscribed {
			sub.busy = make(chan struct{})
			mine = append(mine, t)
		}
	}
	return mine, nil
}

// subscribe subscribes to a session and a client at most. It waits for other callers' requests to
// the store for as long as its own may take.
func (s *subscriptions) subscribe(ctx context.Context, topics ...Topic) error {
	limited, cancel := s.limit(ctx)
	defer cancel()
	for {
		mine, wait := s.claim(topics)
		switch {
		case wait != nil:
			select {
			case <-wait:
			case <-limited.Done():
				return context.Cause(limited)
			}
		case len(mine) == 0:
			return nil
		default:
			return s.ask(ctx, mine)
		}
	}
}

// ask asks the store for topics that the caller has claimed.
func (s *subscriptions) ask(ctx context.Context, topics []Topic) error {
	subscribed := false
	defer func() { s.answered(topics, subscribed) }()      // also if the store panics
	limited, cancel := s.limit(context.WithoutCancel(ctx)) // other callers may wait for it
	defer cancel()
	var both Topic
	for _, t := range topics {
		both = Topic{cmp.Or(both.SessionID, t.SessionID), cmp.Or(both.ClientID, t.ClientID)}
	}
	err := s.node.Hold(limited, both.SessionID, both.ClientID)
	subscribed = err == nil
	return err
}

func (s *subscriptions) limit(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, s.cfg.StoreTimeout)
}

// retry subscribes to topics that could not be subscribed to.
func (s *subscriptions) retry() {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for t := range s.missing {
		delete(s.missing, t) // it comes back if it fails
		s.subscribeSoon(t)
		if n++; n == maxRetries {
			return
		}
	}
}

func (s *subscriptions) subscribeSoon(t Topic) {
	s.pool.Go(func() {
		if !s.cfg.Workers.Stopped() && s.subscribe(context.Background(), t) == nil {
			s.cfg.Subscribed(t)
		}
	})
}
