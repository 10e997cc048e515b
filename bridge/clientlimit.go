package bridge

import (
	"context"
	"fmt"
	"log/slog"
	"slices"

	"github.com/sessionbridge/sessionbridge/store"
)

// defaultSessionsPerClient is far more than a browser needs, which has room for one, and little
// enough for a stranger's script, whose every visit may begin another.
const defaultSessionsPerClient = 16

// endedAtOnce is how many sessions that are too many one new session ends: one as a rule, more
// where a client had them before there was a limit.
const endedAtOnce = 16

// checkClientLimit returns an error if the limit is asked for and the store can't keep it. The
// default is no more than that.
func checkClientLimit(asked *Options, st store.Store) error {
	if asked == nil || asked.MaxSessionsPerClient <= 0 {
		return nil
	}
	_, orders := st.(store.ClientOrder)
	_, finds := st.(store.ClientIndex)
	if orders || finds {
		return nil
	}
	return fmt.Errorf("%w: %w", bad("MaxSessionsPerClient", "the store can't find a client's sessions: it is neither a store.ClientOrder nor a store.ClientIndex"), ErrUnsupported)
}

// mayExceedClient reports whether the commit of s may give its client more sessions than are allowed:
// it creates one, and not the client's first. The lock of s is held.
func (s *Session) mayExceedClient() bool {
	b := s.b
	if b.opts.MaxSessionsPerClient <= 0 || s.draft.Base().Revision != 0 || !b.gateway.FindsClients() {
		return false
	}
	rq := s.from.request
	return rq == nil || !rq.answer.ClientIsNew()
}

// endSurplus ends the sessions without a user that the client of s, which is stored, has beyond the
// limit: those that began first, but none that has connections here. Whoever has a copy of the
// client cookie can begin sessions, and ends no page's session by it that is open. Another node may
// be at it, too: an end counts once. What fails here is left for the client's next session, and
// logged.
func (b *Bridge) endSurplus(ctx context.Context, s *Session) {
	most := b.opts.MaxSessionsPerClient
	ids, err := b.surplus(ctx, s.clientID, most)
	if err == nil && slices.Contains(ids, s.id) { // by a clock that is behind, or within one millisecond: another goes for it
		ids, err = b.surplus(ctx, s.clientID, most-1)
		ids = slices.DeleteFunc(ids, func(id string) bool { return id == s.id })
	}
	if err == nil && len(ids) > 0 {
		ids = ids[:min(len(ids), endedAtOnce)]
		from := &origin{via: s.from.via, reason: ReasonEvicted}
		still := func(rec *store.Record) bool { return rec.UserID == "" && rec.ClientID == s.clientID }
		for _, id := range ids {
			if _, e := b.gateway.DestroyIf(context.WithoutCancel(ctx), id, still, from); e != nil {
				err = e
				break
			}
		}
	}
	if err != nil {
		b.failed(ctx, slog.LevelError, Failure{Doing: "end the sessions that a client has beyond Options.MaxSessionsPerClient", Err: err})
	}
}

// surplus returns the client's sessions without a user that may end, but for the keep of them that
// began last. Those that have connections may not, and must not hide others that began later.
func (b *Bridge) surplus(ctx context.Context, clientID string, keep int) ([]string, error) {
	const n = endedAtOnce + 1 // the new one may be among them
	found, err := b.gateway.SurplusOfClient(ctx, clientID, keep, n)
	ids := slices.DeleteFunc(slices.Clone(found), b.links.HasSession)
	if err == nil && len(ids) == 0 && len(found) == n {
		ids, err = b.gateway.SurplusOfClient(ctx, clientID, keep, n+b.links.CountOfClient(clientID))
		ids = slices.DeleteFunc(ids, b.links.HasSession)
	}
	return ids, err
}
