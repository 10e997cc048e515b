package membership

import (
	"context"
	"time"

	"github.com/redis/rueidis"

	"github.com/sessionbridge/sessionbridge/internal/background"
	"github.com/sessionbridge/sessionbridge/internal/terms"
	"github.com/sessionbridge/sessionbridge/redisstore/internal/codec"
	"github.com/sessionbridge/sessionbridge/redisstore/internal/conn"
	"github.com/sessionbridge/sessionbridge/store"
)

// The first byte of a message on a node's channel. An empty message means that the inbox has
// entries.
const (
	messageSelf   = 'c' // sent by the node itself with each heartbeat
	messageStored = 's' // followed by the member of a session that was stored
)

// unsubscribeTimeout limits the attempt to unsubscribe at the end of a term.
const unsubscribeTimeout = time.Second

// subscribe receives from the node's channel until the term is over. Without it changes are
// reported later, and store.ChangeStored isn't reported.
func (s *shard) subscribe() {
	client, backoff := s.term.member.conn.Client, background.Backoff{}
	channel := s.prefix + "p" + s.term.Name
	ctx := rueidis.WithOnSubscriptionHook(s.term.Ctx, func(subscription rueidis.PubSubSubscription) {
		if subscription.Kind == "ssubscribe" {
			terms.Signal(s.subscribed)
		}
	})
	ctx = rueidis.WithOnReceiveReturnHook(ctx, func(err error, client rueidis.CommandClient) error {
		if s.term.Ctx.Err() != nil { // the connection stays open
			ctx, cancel := context.WithTimeout(context.Background(), unsubscribeTimeout)
			defer cancel()
			_ = client.Do(conn.NoDeadline(ctx), client.B().Sunsubscribe().Channel(channel).Build()).Error()
		}
		return err
	})
	for s.term.Ctx.Err() == nil {
		began := time.Now()
		_ = client.Receive(ctx, client.B().Ssubscribe().Channel(channel).Build(), s.receive)
		backoff.Worked(began)
		backoff.Wait(s.term.Ctx)
	}
}

// receive processes a message. It must not block, because it blocks the connection.
func (s *shard) receive(message rueidis.PubSubMessage) {
	text := message.Message
	switch {
	case text == "":
		terms.Signal(s.wake)
	case text[0] == messageSelf:
		s.term.member.heard[s.number].Now()
	case text[0] == messageStored:
		select {
		case s.stored <- text[1:]:
		default:
		}
	}
}

// reportStored reports that a session was stored.
func (s *shard) reportStored(member string) {
	m := s.term.member
	if id, err := codec.ID(member); err == nil && m.held[s.number].Has(kindSession+member) {
		m.life.Report(store.Change{Kind: store.ChangeStored, ID: id})
	}
}
