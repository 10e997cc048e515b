package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"
)

// ErrSilent is returned by Ask if a node has not answered in time, or a part of its answer is lost.
// The bridge exports it, hence the prefix.
var ErrSilent = errors.New("bridge: another node has not answered")

// answerWithin is how long to wait for the first piece of an answer, and then for the next.
const answerWithin = 2 * time.Second

// Audience is the other nodes that a question is for: all, or those that subscribe to one of the
// sessions or clients. The zero Audience has none.
type Audience struct {
	All               bool
	Sessions, Clients []string
}

// Ask asks the audience and calls each with every item of the answers, until it returns false. The
// items of one node come in order. It returns ErrSilent, the cause of ctx, or an error of the
// store.
func Ask[T any](ctx context.Context, n *Node, to Audience, kind string, body any, payload []byte,
	each func(from string, item T) bool,
) error {
	if n == nil {
		return nil
	}
	raw, err := json.Marshal(body)
	if err != nil {
		return err
	}
	q := packet{Kind: kind, Body: raw, data: payload}
	return n.ask(ctx, to, &q, func(p *packet) (valid, goOn bool) {
		var items []T
		if json.Unmarshal(p.data, &items) != nil {
			return false, true
		}
		for _, item := range items {
			if !each(p.from, item) {
				return true, false
			}
		}
		return true, true
	})
}

// ask calls each with the pieces of the answers. An invalid piece, which another version may send,
// counts as lost.
func (n *Node) ask(ctx context.Context, to Audience, q *packet, each func(*packet) (valid, goOn bool)) error {
	nodes, err := n.find(ctx, to)
	if err != nil || len(nodes) == 0 {
		return err
	}
	id, c := n.asking.begin()
	defer n.asking.end(id)
	q.ID = id
	if err := n.put(ctx, nodes, q); err != nil {
		return err
	}
	silent, torn := make(map[string]int, len(nodes)), 0 // the valid pieces of each that hasn't finished
	for _, node := range nodes {
		silent[node] = 0
	}
	patience := time.NewTimer(answerWithin)
	defer patience.Stop()
	for len(silent) > 0 {
		select {
		case <-c.arrived:
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-patience.C:
			return fmt.Errorf("%w: %d of %d within %v", ErrSilent, len(silent)+torn, len(nodes), answerWithin)
		}
		for _, p := range c.take() {
			pieces, expected := silent[p.from]
			if !expected {
				continue
			}
			valid, goOn := each(p)
			switch {
			case !goOn:
				return nil
			case !p.More:
				delete(silent, p.from)
				if !valid || pieces != p.Before { // the store has dropped some: this node reads too slowly
					torn++
				}
			case valid:
				silent[p.from]++
			}
		}
		patience.Reset(answerWithin)
	}
	if torn > 0 {
		return fmt.Errorf("%w: parts of the answers of %d of %d are lost", ErrSilent, torn, len(nodes))
	}
	return nil
}

// Tell sends the audience a question that isn't answered, and doesn't wait for it.
func Tell(ctx context.Context, n *Node, to Audience, kind string, body any, payload []byte) error {
	if n == nil {
		return nil
	}
	raw, err := json.Marshal(body)
	if err != nil {
		return err
	}
	nodes, err := n.find(ctx, to)
	if err != nil || len(nodes) == 0 {
		return err
	}
	return n.put(ctx, nodes, &packet{Kind: kind, Body: raw, data: payload})
}

// put sends a question.
func (n *Node) put(ctx context.Context, to []string, q *packet) error {
	raw, err := q.encode()
	if err != nil {
		return err
	}
	return n.send(ctx, to, raw)
}

// find returns the nodes of the audience.
func (n *Node) find(ctx context.Context, to Audience) (nodes []string, err error) {
	ctx, cancel := n.limit(ctx)
	defer cancel()
	switch {
	case to.All:
		nodes, err = n.node.Nodes(ctx)
	case len(to.Sessions)+len(to.Clients) > 0:
		nodes, err = n.node.Holders(ctx, to.Sessions, to.Clients)
	}
	if err != nil {
		return nil, fmt.Errorf("find the nodes: %w", err)
	}
	return nodes, nil
}

func (n *Node) send(ctx context.Context, to []string, raw []byte) error {
	ctx, cancel := n.limit(ctx)
	defer cancel()
	return n.node.Send(ctx, to, raw)
}

// asking has the questions of this node that wait for answers.
type asking struct {
	mu      sync.Mutex
	last    uint64
	waiting map[uint64]*collector
}

// collector collects the answers to one question.
type collector struct {
	mu      sync.Mutex
	answers []*packet
	arrived chan struct{} // holds one value while there are answers
}

func (a *asking) begin() (id uint64, c *collector) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.last++
	c = &collector{arrived: make(chan struct{}, 1)}
	a.waiting[a.last] = c
	return a.last, c
}

func (a *asking) end(id uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.waiting, id)
}

// deliver takes an answer. It is dropped if its question no longer waits.
func (a *asking) deliver(p *packet) {
	a.mu.Lock()
	c := a.waiting[p.ID]
	a.mu.Unlock()
	if c == nil {
		return
	}
	p.data = bytes.Clone(p.data) // it is the store's slice
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answers = append(c.answers, p)
	select {
	case c.arrived <- struct{}{}:
	default:
	}
}

func (c *collector) take() []*packet {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := c.answers
	c.answers = nil
	return all
}
