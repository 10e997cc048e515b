package membership

import (
	"time"

	"github.com/sessionbridge/sessionbridge/internal/terms"
	"github.com/sessionbridge/sessionbridge/redisstore/internal/codec"
	"github.com/sessionbridge/sessionbridge/redisstore/internal/conn"
	"github.com/sessionbridge/sessionbridge/redisstore/internal/scripts"
	"github.com/sessionbridge/sessionbridge/store"
)

// heartbeat is how often a node renews its lease, and reads its inbox even without a message.
const heartbeat = time.Second

// entriesAtOnce is the number of inbox entries that a script returns at once.
const entriesAtOnce = 500

// readInbox renews the lease, and replays the inbox: it reports its entries in order. Each read
// continues after the last entry that was reported, so that a node that was disconnected receives
// the changes that it has missed. If the inbox was full meanwhile, it has a single entry for all of
// them, which is reported as store.ChangeMissed. If the lease has expired, or the server was
// replaced, the term ends.
func (s *shard) readInbox() {
	ticker := time.NewTicker(heartbeat)
	defer ticker.Stop()
	for {
		select {
		case <-s.term.Ctx.Done():
			return
		case <-ticker.C:
			s.pulse()
		case <-s.subscribed:
			s.pulse()
		case <-s.wake:
			m := s.term.member
			s.read("reading the inbox", m.scripts.Fetch.On(s.prefix, s.term.Name, s.last))
		case member := <-s.stored:
			s.reportStored(member)
		}
	}
}

// pulse renews the lease and reads the inbox.
func (s *shard) pulse() {
	m := s.term.member
	s.read("renewing the lease", m.scripts.Pulse.On(s.prefix, s.term.Name, s.last, s.server))
}

// read runs the script pulse or fetch and reports the entries that it returns. After an error the
// next heartbeat tries again.
func (s *shard) read(doing string, call scripts.Call) {
	m := s.term.member
	reply, err := m.conn.Run(s.term.Ctx, doing, call)
	if err != nil {
		return
	}
	fields, err := conn.Texts(doing, reply)
	switch {
	case err != nil:
		return
	case len(fields) == 0:
		s.term.End()
		return
	}
	m.answered[s.number].Now()
	if fields[0] != "" {
		select {
		case s.expired <- fields[0]:
		default:
		}
	}
	n := 0
	for ; 2*n+2 < len(fields); n++ {
		if s.term.Ctx.Err() != nil {
			return
		}
		change, ok := s.changeOf(fields[2*n+2])
		if ok {
			m.life.Report(change)
		}
		s.last = fields[2*n+1]
	}
	if n == entriesAtOnce {
		terms.Signal(s.wake)
	}
}

// The first byte of an inbox entry.
const (
	entryHello   = 'j'
	entryAccess  = 'a' // followed by the member of a session
	entryEnded   = 'e' // followed by the length of the reason, the reason, the member
	entryClient  = 'c' // followed by the length of the client ID, the client ID, the session ID
	entryMessage = 'm' // followed by the sender's name, the data
)

// changeOf returns the change that an entry describes. It returns false if the node does not hold
// its subject. An entry in an unknown format, which a later version may have written, is a missed
// change.
func (s *shard) changeOf(entry string) (store.Change, bool) {
	missed := store.Change{Kind: store.ChangeMissed}
	if entry == "" {
		return missed, true
	}
	held, rest := &s.term.member.held[s.number], entry[1:]
	switch entry[0] {
	case entryHello:
		return store.Change{}, false
	case entryAccess:
		id, err := codec.ID(rest)
		if err != nil {
			return missed, true
		}
		return store.Change{Kind: store.ChangeAccess, ID: id}, held.Has(kindSession + rest)
	case entryEnded:
		if len(rest) == 0 || len(rest) < 1+int(rest[0]) {
			return missed, true
		}
		reason, member := rest[1:1+int(rest[0])], rest[1+int(rest[0]):]
		id, err := codec.ID(member)
		if err != nil {
			return missed, true
		}
		return store.Change{Kind: store.ChangeEnded, ID: id, Reason: reason}, held.Remove(kindSession + member)
	case entryClient:
		clientID, id, ok := codec.CutText(rest)
		if !ok {
			return missed, true
		}
		change := store.Change{Kind: store.ChangeClient, ClientID: clientID, ID: id}
		return change, held.Has(kindClient + codec.Member(clientID))
	case entryMessage:
		if len(rest) < terms.NameSize {
			return missed, true
		}
		return store.Change{Kind: store.ChangeMessage, From: rest[:terms.NameSize], Data: []byte(rest[terms.NameSize:])}, true
	}
	return missed, true
}
