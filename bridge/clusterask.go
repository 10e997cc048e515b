package bridge

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/gateway"
)

// answerWithin is how long nodes may take to answer, or to go on answering.
const answerWithin = 2 * time.Second

// asking is what this node has asked others.
type asking struct {
	mu      sync.Mutex
	last    uint64
	waiting map[uint64]*asked
}

// asked is a question that is waiting for answers.
type asked struct {
	mu      sync.Mutex
	answers []*answer
	some    chan struct{} // has one when there are answers
}

func (a *asking) begin() (id uint64, w *asked) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.last++
	w = &asked{some: make(chan struct{}, 1)}
	a.waiting[a.last] = w
	return a.last, w
}

func (a *asking) end(id uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.waiting, id)
}

// deliver takes an answer. One that nobody waits for any more is dropped.
func (a *asking) deliver(ans *answer) {
	a.mu.Lock()
	w := a.waiting[ans.ID]
	a.mu.Unlock()
	if w == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answers = append(w.answers, ans)
	select {
	case w.some <- struct{}{}:
	default:
	}
}

func (w *asked) take() []*answer {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := w.answers
	w.answers = nil
	return all
}

// ask asks the nodes, and calls each with what they answer, until it returns false. ErrNodeSilent, ErrStoreUnavailable.
func (c *cluster) ask(ctx context.Context, nodes []string, q question, payload []byte, each func(*answer) bool) error {
	if len(nodes) == 0 {
		return nil
	}
	id, w := c.asking.begin()
	defer c.asking.end(id)
	q.ID = id
	if err := c.send(ctx, nodes, &packet{Question: &q}, payload); err != nil {
		return gateway.Unavailable(ctx, "ask other nodes", err)
	}
	silent, pieces, torn := make(map[string]bool, len(nodes)), make(map[string]int), 0
	for _, node := range nodes {
		silent[node] = true
	}
	patience := time.NewTimer(answerWithin)
	defer patience.Stop()
	for len(silent) > 0 {
		select {
		case <-w.some:
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-patience.C:
			return fmt.Errorf("%w: %d of %d within %v", ErrNodeSilent, len(silent)+torn, len(nodes), answerWithin)
		}
		for _, ans := range w.take() {
			switch {
			case ans.More:
				pieces[ans.from]++
			case silent[ans.from]:
				delete(silent, ans.from)
				if pieces[ans.from] != ans.Before { // the store has dropped some, as this node has too much to read
					torn++
				}
			}
			if !each(ans) {
				return nil
			}
		}
		patience.Reset(answerWithin)
	}
	if torn > 0 {
		return fmt.Errorf("%w: parts of what %d of %d say are lost", ErrNodeSilent, torn, len(nodes))
	}
	return nil
}

func (c *cluster) send(ctx context.Context, nodes []string, p *packet, payload []byte) error {
	data, err := p.encode(payload)
	if err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, c.b.opts.StoreTimeout)
	defer cancel()
	return c.node.Send(limited, nodes, data)
}

// nodesOf returns the other nodes on which connections may be that are meant.
func (c *cluster) nodesOf(ctx context.Context, to To) (nodes []string, err error) {
	limited, cancel := context.WithTimeout(ctx, c.b.opts.StoreTimeout)
	defer cancel()
	switch {
	case to.All:
		nodes, err = c.node.Nodes(limited)
	case to.SessionID != "":
		nodes, err = c.node.Holders(limited, []string{to.SessionID}, nil)
	case to.ClientID != "":
		nodes, err = c.node.Holders(limited, nil, []string{to.ClientID})
	default:
		var sessions []string
		all, unable := c.b.gateway.ByUser(limited, to.UserID)
		if unable != nil {
			return nil, unable
		}
		for rec, err := range all {
			if err != nil {
				return nil, gateway.Unavailable(ctx, "find the user's sessions", err)
			}
			if rec.UserID == to.UserID {
				sessions = append(sessions, rec.ID)
			}
		}
		if len(sessions) > 0 {
			nodes, err = c.node.Holders(limited, sessions, nil)
		}
	}
	if err != nil {
		return nil, gateway.Unavailable(ctx, "find the nodes that have connections", err)
	}
	return nodes, nil
}
