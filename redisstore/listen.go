package redisstore

import (
	"context"
	"time"

	"github.com/redis/rueidis"

	"github.com/sessionbridge/sessionbridge/store"
)

// What a node's channel says, but for "": there is something in the inbox.
const (
	canary = 'c' // by the node itself
	hint   = 's' // and the member of a session that was stored
)

// listen hears the node's channel in the shard, for as long as the term lasts. Nothing depends on it but how soon changes are told, and hints.
func (s *shard) listen() {
	client, between := s.term.member.store.engine.client, pause{}
	channel := s.prefix + "p" + s.term.name
	ctx := rueidis.WithOnSubscriptionHook(s.term.ctx, func(subscription rueidis.PubSubSubscription) {
		if subscription.Kind == "ssubscribe" {
			signal(s.listening)
		}
	})
	ctx = rueidis.WithOnReceiveReturnHook(ctx, func(err error, client rueidis.CommandClient) error {
		if s.term.ctx.Err() != nil { // the connection remains
			ctx, cancel := context.WithTimeout(context.Background(), longest)
			defer cancel()
			_ = client.Do(limited{ctx}, client.B().Sunsubscribe().Channel(channel).Build()).Error()
		}
		return err
	})
	for s.term.ctx.Err() == nil {
		began := time.Now()
		_ = client.Receive(ctx, client.B().Ssubscribe().Channel(channel).Build(), s.hear)
		if time.Since(began) > 10*time.Second {
			between.over()
		}
		between.wait(s.term.ctx)
	}
}

// hear is called by the connection, which does nothing else meanwhile.
func (s *shard) hear(message rueidis.PubSubMessage) {
	what := message.Message
	switch {
	case what == "":
		signal(s.wake)
	case what[0] == canary:
		s.term.member.heard[s.number].now()
	case what[0] == hint:
		select {
		case s.hints <- what[1:]:
		default:
		}
	}
}

// pass tells of a session that was stored.
func (s *shard) pass(member string) {
	m := s.term.member
	if id, err := idOf(member); err == nil && m.held[s.number].has("h"+member) {
		m.say(store.Change{Kind: store.ChangeStored, ID: id})
	}
}
