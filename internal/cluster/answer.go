package cluster

import (
	"context"
	"encoding/json"
)

// pieceSize is how many items a piece of an answer has.
const pieceSize = 256

// Question is a question of another node.
type Question struct {
	Kind    string
	Payload []byte // not to be used after Config.Asked has returned

	node *Node
	from string
	id   uint64
	body json.RawMessage
}

// received takes an answer to a question of this node, or hands a question of another one to the
// owner.
func (n *Node) received(from string, data []byte) {
	p, err := decode(from, data)
	switch {
	case err != nil:
		n.cfg.Failed(context.Background(), "read a message of another node", "", err)
	case p.Kind == "":
		n.asking.deliver(p)
	default:
		n.cfg.Asked(&Question{p.Kind, p.data, n, from, p.ID, p.Body})
	}
}

// Answer sends the items that handle returns for the question's body. Answers are sent one after
// another, in the order of the calls. A body that isn't a B, which another version may send, is not
// answered.
func Answer[B, T any](q *Question, handle func(body B) []T) {
	var body B
	if err := json.Unmarshal(q.body, &body); err != nil {
		q.node.cfg.Failed(context.Background(), "read a question of another node", "", err)
		return
	}
	items, before := handle(body), 0
	for len(items) > pieceSize {
		q.send(packet{ID: q.id, More: true}, items[:pieceSize])
		items = items[pieceSize:]
		before++
	}
	q.send(packet{ID: q.id, Before: before}, items)
}

// send sends a piece of an answer after those before it. If one can't be sent, those that wait are
// dropped: the nodes that have asked give up before the store would have taken them all.
func (q *Question) send(p packet, items any) {
	n := q.node
	if q.id == 0 { // of Tell
		return
	}
	var raw []byte
	data, err := json.Marshal(items)
	if err == nil {
		p.data = data
		raw, err = p.encode()
	}
	failures := n.failedAnswers.Load()
	n.answers.Go(func() {
		if n.failedAnswers.Load() != failures {
			return
		}
		if err == nil {
			err = n.send(context.Background(), []string{q.from}, raw)
		}
		if err != nil {
			n.failedAnswers.Add(1)
			n.cfg.Failed(context.Background(), "answer another node", "", err)
		}
	})
}
