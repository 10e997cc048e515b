package bridge

import (
	"bytes"
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/outbox"
)

// pieceOf is how many connections, or sessions, are told of in one piece.
const pieceOf = 256

// received does what another node asks for, or takes its answer. Messages to connections are passed on at once, so that they stay in order.
func (c *cluster) received(from string, data []byte) {
	var p packet
	payload, err := p.decode(data)
	if err != nil {
		c.b.logAside(func() {
			c.b.opts.Logger.Warn("another node has sent what this one doesn't understand", slog.Any("error", err))
		})
		return
	}
	switch q := p.Question; {
	case p.Answer != nil:
		p.Answer.from = from
		c.asking.deliver(p.Answer)
	case q == nil:
	case q.Notify != nil:
		n := 0
		if q.Notify.To.check() == nil {
			n = c.b.notifyHere(q.Notify.To, &outbox.Message{Data: bytes.Clone(payload), Binary: q.Notify.Binary})
		}
		c.answer(from, answer{ID: q.ID, N: n})
	default:
		c.b.pools.background.Go(func() { c.do(from, q) })
	}
}

// do answers a question that takes a while.
func (c *cluster) do(from string, q *question) {
	ctx := context.Background()
	switch {
	case q.Conns != nil:
		c.tellConns(ctx, from, q)
	case q.Count:
		c.tellCounts(from, q)
	case q.Close != nil && checkClose(q.Close.Code, q.Close.Reason) != nil:
		c.answer(from, answer{ID: q.ID}) // of a version that knows other codes
	case q.Close != nil && q.Close.Filter != nil:
		n, _ := c.b.closeHere(ctx, *q.Close.Filter, q.Close.Code, q.Close.Reason)
		c.answer(from, answer{ID: q.ID, N: n})
	case q.Close != nil:
		ans := answer{ID: q.ID}
		if l := c.b.links.Get(q.Close.ConnID); l != nil && l.end(q.Close.Code, q.Close.Reason) {
			ans.N = 1
		}
		c.answer(from, ans)
	}
}

func (c *cluster) tellConns(ctx context.Context, from string, q *question) {
	picked, _ := c.b.pick(ctx, *q.Conns)
	now := time.Now()
	ans, before := answer{ID: q.ID, More: true}, 0
	for _, l := range picked {
		info, ok := c.b.connInfo(l)
		if !ok || !q.Conns.picks(&info, now) {
			continue
		}
		info.Data = nil // it is of this process
		if ans.Conns = append(ans.Conns, info); len(ans.Conns) == pieceOf {
			c.answer(from, ans)
			ans.Conns = nil
			before++
		}
	}
	ans.More, ans.Before = false, before
	c.answer(from, ans)
}

func (c *cluster) tellCounts(from string, q *question) {
	counts, before := c.b.links.Sessions(), 0
	for some := range slices.Chunk(slices.Collect(maps.Keys(counts)), pieceOf) {
		piece := make(map[string]int, len(some))
		for _, id := range some {
			piece[id] = counts[id]
		}
		c.answer(from, answer{ID: q.ID, Counts: piece, More: true})
		before++
	}
	c.answer(from, answer{ID: q.ID, Before: before})
}

// answers wait to be sent, one after the other.
type answers struct {
	mu    sync.Mutex
	queue []outgoing
	busy  bool
}

type outgoing struct {
	to     string
	answer answer
}

// answer sends an answer, after those before it.
func (c *cluster) answer(to string, ans answer) {
	c.answers.mu.Lock()
	defer c.answers.mu.Unlock()
	c.answers.queue = append(c.answers.queue, outgoing{to, ans})
	if c.answers.busy {
		return
	}
	c.answers.busy = true
	c.b.work.Go(c.sendAnswers)
}

// sendAnswers sends what waits. When the store fails, what waits is dropped: those who have asked give up by themselves, and sooner than the store would have answered all.
func (c *cluster) sendAnswers() {
	for {
		c.answers.mu.Lock()
		some := c.answers.queue
		c.answers.queue = nil
		if len(some) == 0 {
			c.answers.busy = false
			c.answers.mu.Unlock()
			return
		}
		c.answers.mu.Unlock()
		for i := range some {
			if err := c.send(context.Background(), []string{some[i].to}, &packet{Answer: &some[i].answer}, nil); err != nil {
				c.b.storeFailed(context.Background(), "answer another node", "", err)
				c.answers.mu.Lock()
				c.answers.queue = nil
				c.answers.mu.Unlock()
				break
			}
		}
	}
}
