package membership

import (
	"sync"
	"sync/atomic"

	"github.com/redis/rueidis"

	"github.com/sessionbridge/sessionbridge/internal/background"
	"github.com/sessionbridge/sessionbridge/internal/terms"
	"github.com/sessionbridge/sessionbridge/redisstore/internal/conn"
	"github.com/sessionbridge/sessionbridge/store"
)

// term is a node's life under one name.
type term struct {
	*terms.Term
	member *Member
	shards []*shard
	wg     sync.WaitGroup

	restoring  atomic.Int32 // number of reachable shards that do not hold everything again yet
	mayMissAny atomic.Bool  // changes may have been missed, which is still to be reported
}

// shard is a node's part in one shard during a term.
type shard struct {
	term   *term
	number int
	prefix string
	server string // the server that it has joined at
	last   string // ID of the last inbox entry that was read
	late   bool   // the shard was unreachable when the term started

	wake       chan struct{} // the inbox has entries
	subscribed chan struct{} // messages arrive from now on
	stored     chan string   // members of sessions that were stored
	requests   chan *request
	expired    chan string // nodes to deregister
}

// maxStored is the number of messages about stored sessions that may be queued; more are dropped.
const maxStored = 1024

func newTerm(m *Member, of *terms.Term) *term {
	t := &term{Term: of, member: m}
	for i, prefix := range m.prefixes {
		t.shards = append(t.shards, &shard{
			term: t, number: i, prefix: prefix,
			wake: make(chan struct{}, 1), subscribed: make(chan struct{}, 1), stored: make(chan string, maxStored),
			requests: make(chan *request), expired: make(chan string, 1),
		})
	}
	t.restoring.Store(int32(len(t.shards))) //nolint:gosec // few
	return t
}

// run returns when the term is over.
func (t *term) run() {
	for _, s := range t.shards {
		t.wg.Go(s.run)
	}
	t.wg.Wait()
}

// run runs the node in the shard. A shard that is unreachable does not delay others.
func (s *shard) run() {
	again, ok := s.join()
	if !ok {
		return
	}
	s.term.wg.Go(s.subscribe)
	s.term.wg.Go(s.readInbox)
	s.serve(again)
}

// join registers the node in the shard, and retries until it succeeds or the term is over: !ok.
// again reports whether the node had joined the shard in an earlier term; the earlier name is
// deregistered.
func (s *shard) join() (again, ok bool) {
	const doing = "joining the other nodes"
	m, backoff := s.term.member, background.Backoff{}
	before := m.joinedAs[s.number]
	for {
		reply, err := m.conn.Run(s.term.Ctx, doing, m.scripts.Join.On(s.prefix, s.term.Name, before))
		if err == nil {
			err = s.joined(doing, reply)
		}
		m.life.Joined(s.term.Name, err)
		if err == nil {
			if before != "" {
				s.expired <- before // buffered
			}
			return before != "", true
		}
		if !s.late {
			s.late = true
			s.restored(false)
		}
		if !backoff.Wait(s.term.Ctx) {
			return false, false
		}
	}
}

// joined processes the reply of the script join.
func (s *shard) joined(doing string, reply rueidis.RedisMessage) error {
	fields, err := conn.Texts(doing, reply)
	if err != nil {
		return err
	}
	if len(fields) != 2 {
		return conn.Damaged(doing, conn.ErrReply)
	}
	m := s.term.member
	s.last, s.server = fields[0], fields[1]
	m.joinedAs[s.number] = s.term.Name
	m.answered[s.number].Now()
	if s.late {
		s.term.restoring.Add(1)
	}
	return nil
}

// restored is called when the shard holds everything again, or is unreachable. Once this holds for
// all shards, store.ChangeMissed is reported if any has joined again, and later for each shard that
// was late.
func (s *shard) restored(again bool) {
	if again {
		s.term.mayMissAny.Store(true)
	}
	if s.term.restoring.Add(-1) == 0 && s.term.mayMissAny.Swap(false) {
		s.term.member.life.Report(store.Change{Kind: store.ChangeMissed})
	}
}
