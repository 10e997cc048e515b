package redisstore

import (
	"time"

	"github.com/sessionbridge/sessionbridge/store"
)

// beat is how often a node prolongs its lease, and looks into its inbox even if nothing says that there is something.
const beat = time.Second

// unreadAtOnce is how many entries of an inbox a script returns.
const unreadAtOnce = 500

// read tells what arrives in the inbox, and keeps the lease.
func (s *shard) read() {
	ticker := time.NewTicker(beat)
	defer ticker.Stop()
	for {
		select {
		case <-s.term.ctx.Done():
			return
		case <-ticker.C:
			s.pulse()
		case <-s.listening:
			s.pulse()
		case <-s.wake:
			s.look("reading the inbox", call{&s.term.member.store.engine.scripts.fetch, s.prefix, []string{s.term.name, s.last}})
		case member := <-s.hints:
			s.pass(member)
		}
	}
}

func (s *shard) pulse() {
	s.look("keeping the lease", call{&s.term.member.store.engine.scripts.pulse, s.prefix, []string{s.term.name, s.last, s.server}})
}

// look runs one of both scripts and tells what is in the inbox. When that fails, the next beat is soon.
func (s *shard) look(doing string, c call) {
	m := s.term.member
	answer, err := m.store.engine.run(s.term.ctx, doing, c)
	if err != nil {
		return
	}
	fields, err := texts(doing, answer)
	switch {
	case err != nil:
		return
	case len(fields) == 0:
		s.term.lose()
		return
	}
	m.answered[s.number].now()
	if fields[0] != "" {
		select {
		case s.dead <- fields[0]:
		default:
		}
	}
	n := 0
	for ; 2*n+2 < len(fields); n++ {
		if s.term.ctx.Err() != nil {
			return
		}
		change, ok := s.changeOf(fields[2*n+2])
		if ok {
			m.say(change)
		}
		s.last = fields[2*n+1]
	}
	if n == unreadAtOnce {
		signal(s.wake)
	}
}

// What an entry in an inbox begins with.
const (
	entryHello   = 'j'
	entryAccess  = 'a' // and the member of a session
	entryEnded   = 'e' // the length of the reason, the reason, the member
	entryClient  = 'c' // the length of the client's ID, the ID, the ID of the session
	entryMessage = 'm' // who sends it, and the data
)

// changeOf returns what an entry says; false: it is about nothing that the node holds.
func (s *shard) changeOf(entry string) (store.Change, bool) {
	missed := store.Change{Kind: store.ChangeMissed} // also what a later version of this package may say
	if entry == "" {
		return missed, true
	}
	held, rest := &s.term.member.held[s.number], entry[1:]
	switch entry[0] {
	case entryHello:
		return store.Change{}, false
	case entryAccess:
		id, err := idOf(rest)
		if err != nil {
			return missed, true
		}
		return store.Change{Kind: store.ChangeAccess, ID: id}, held.has("h" + rest)
	case entryEnded:
		if len(rest) == 0 || len(rest) < 1+int(rest[0]) {
			return missed, true
		}
		reason, member := rest[1:1+int(rest[0])], rest[1+int(rest[0]):]
		id, err := idOf(member)
		if err != nil {
			return missed, true
		}
		return store.Change{Kind: store.ChangeEnded, ID: id, Reason: reason}, held.drop("h" + member)
	case entryClient:
		r := reader{rest: rest}
		clientID := r.text()
		if r.failed {
			return missed, true
		}
		return store.Change{Kind: store.ChangeClient, ClientID: clientID, ID: r.rest}, held.has("k" + memberOf(clientID))
	case entryMessage:
		if len(rest) < nameSize {
			return missed, true
		}
		return store.Change{Kind: store.ChangeMessage, From: rest[:nameSize], Data: []byte(rest[nameSize:])}, true
	}
	return missed, true
}
