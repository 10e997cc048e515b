package bridge

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/presence"
)

// Presence reports that a user has come online, with the first connection on any node, or has gone
// offline: the last one was gone for Options.PresenceGrace.
type Presence struct {
	UserID string
	Online bool
}

func (e Presence) deliver(o *Observer, call bool) bool { return deliver(o.Presence, e, call) }

// OnPresence calls fn after each user who has come online or gone offline, until off is called. On
// every node that calls it, each is reported once, whichever node the user is connected to; not the
// users who are online already, whom Online returns, but for some who came just before. The reports are
// right in the end: a user of a node that was killed, who hasn't come back, is offline within 15
// seconds. One of a node that is alive comes within a fraction of a second.
//
// While a Bridge observes presence, the nodes on the store ask each other about their users every two
// seconds, and send only what has changed. Otherwise it costs nothing.
func (b *Bridge) OnPresence(fn func(Presence)) (off func()) { return b.Observe(Observer{Presence: fn}) }

// Online returns which of the users have a connection, on any node, in the order of their IDs; without
// userIDs, all users who have. It asks every node, and knows no grace. With other nodes on the store
// also ErrStoreUnavailable, and ErrNodeSilent beside the users of the nodes that have answered.
func (b *Bridge) Online(ctx context.Context, userIDs ...string) ([]string, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	online := make(map[string]struct{})
	add := func(id string) { online[id] = struct{}{} }
	for _, id := range b.onlineHere(userIDs) {
		add(id)
	}
	err := b.calls.Online(ctx, userIDs, add)
	if err != nil && !errors.Is(err, ErrNodeSilent) {
		return nil, err
	}
	return slices.Sorted(maps.Keys(online)), err
}

// onlineHere is Online for the connections of this process.
func (b *Bridge) onlineHere(userIDs []string) (online []string) {
	if len(userIDs) == 0 {
		return b.links.UserIDs()
	}
	for _, id := range userIDs {
		if b.links.HasUser(id) {
			online = append(online, id)
		}
	}
	return online
}

// newPresence returns what follows which users are online.
func (b *Bridge) newPresence() *presence.Tracker {
	return presence.New(presence.Config{
		Grace: zeroIfOff(b.opts.PresenceGrace), Clock: b.clock, Go: b.work.Pool(8).Go,
		Users: func(record func(presence.Users)) {
			b.links.Users(func(users func(func(string, time.Duration))) {
				record(func(yield func(string, time.Time)) {
					users(func(id string, oldest time.Duration) { yield(id, b.clock.Time(oldest)) })
				})
			})
		},
		Poll: func(ctx context.Context, since presence.Since, each func(string, presence.Item)) error {
			return b.calls.Poll(ctx, since, each)
		},
		Hint: func(ctx context.Context) error { return b.calls.Hint(ctx) },
		Emit: func(userID string, online bool) { b.events.Emit(Presence{userID, online}) },
		Failed: func(err error) {
			b.report.StoreFailed(context.Background(), "ask other nodes which users are online", "", err)
		},
	})
}
