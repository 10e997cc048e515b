package bridge

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/sessionbridge/sessionbridge/internal/admission"
	"github.com/sessionbridge/sessionbridge/internal/allowance"
	"github.com/sessionbridge/sessionbridge/internal/ranges"
	"github.com/sessionbridge/sessionbridge/internal/reporting"
	"github.com/sessionbridge/sessionbridge/internal/socket"
)

// Rate limits how often something happens: PerSecond in the long run, and Burst at once. The zero
// Rate, and a negative field, is no limit; a Burst of 0 means PerSecond, but at least 1.
type Rate struct {
	PerSecond float64
	Burst     int
}

func (r *Rate) check(name string) error {
	if err := ranges.Rate("Options."+name+".PerSecond", r.PerSecond); err != nil {
		return err
	}
	return ranges.FillLimit("Options."+name+".Burst", &r.Burst, 0)
}

// rateLimits are the limits on the rates of Options; nil ones are off.
type rateLimits struct {
	handshakesPerAddr, handshakesPerSession, messagesPerAddr, messagesPerSession, newSessionsPerAddr *allowance.Limit
}

func newRateLimits(o *Options) rateLimits {
	limit := func(name string, r Rate) *allowance.Limit {
		return allowance.NewLimit("Options."+name, r.PerSecond, r.Burst)
	}
	return rateLimits{
		handshakesPerAddr:    limit("HandshakesPerAddr", o.HandshakesPerAddr),
		handshakesPerSession: limit("HandshakesPerSession", o.HandshakesPerSession),
		messagesPerAddr:      limit("MessagesPerAddr", o.MessagesPerAddr),
		messagesPerSession:   limit("MessagesPerSession", o.MessagesPerSession),
		newSessionsPerAddr:   limit("NewSessionsPerAddr", o.NewSessionsPerAddr),
	}
}

// refused returns how many handshakes and sessions the limits have refused.
func (r *rateLimits) refused() uint64 {
	return r.handshakesPerAddr.Exceeded() + r.handshakesPerSession.Exceeded() + r.newSessionsPerAddr.Exceeded()
}

// admitFrom counts a handshake from the address of r. ErrRateLimited.
func (b *Bridge) admitFrom(r *http.Request) error {
	if b.rates.handshakesPerAddr == nil {
		return nil
	}
	addr := b.opts.site.Addr(r)
	err := b.rates.handshakesPerAddr.TakeAddr(addr)
	b.reportLimit(r.Context(), err, reporting.Subject{Addr: b.records.Addr(addr), Via: string(ViaHTTP)})
	return err
}

// admitTo counts a handshake of rq with the session s. ErrRateLimited.
func (b *Bridge) admitTo(rq *request, s *Session) error {
	if b.rates.handshakesPerSession == nil || s.absent() {
		return nil
	}
	err := b.rates.handshakesPerSession.Take(s.id)
	b.reportLimit(rq.Context, err, s.subject())
	return err
}

// admitNew counts a session without a user that a request is about to store. The lock of s is held.
// ErrRateLimited.
func (s *Session) admitNew() error {
	b, rq := s.b, s.from.request
	if b.rates.newSessionsPerAddr == nil || rq == nil || s.draft.Base().Revision != 0 {
		return nil
	}
	rq.mu.Lock()
	created := rq.created
	rq.mu.Unlock()
	if !created { // an imported session exists elsewhere
		return nil
	}
	err := b.rates.newSessionsPerAddr.TakeAddr(rq.addr())
	if err != nil {
		about := reporting.Subject{ClientID: s.clientID, Addr: rq.recordedAddr(), Via: string(ViaHTTP)}
		s.later.Add(func() { b.reportLimit(rq.Context, err, about) })
	}
	return err
}

// admitMessage counts a message of the client, and closes the connection if it is one too many.
// ErrRateLimited.
func (l *Link) admitMessage() (err error) {
	rates := &l.b.rates
	if rates.messagesPerAddr == nil && rates.messagesPerSession == nil {
		return nil
	}
	if id := l.SessionID(); id != "" {
		err = rates.messagesPerSession.Take(id)
	}
	if err == nil && !l.entry.NoAddr {
		err = rates.messagesPerAddr.TakeAddr(l.entry.Addr)
	}
	if err != nil {
		l.b.stats.tooFast.Add(1)
		l.b.reportLimit(l.ctx, err, l.subject())
		l.end(CodePolicy, string(socket.TooManyMessages))
	}
	return err
}

// reportLimit writes an audit line if err is that of a limit on a rate.
func (b *Bridge) reportLimit(ctx context.Context, err error, s reporting.Subject) {
	var exceeded *allowance.Exceeded
	if errors.As(err, &exceeded) {
		b.report.LimitExceeded(ctx, exceeded.Limit, exceeded.Value(), s)
	}
}

// reportLimit writes an audit line for a limit that has closed the connection.
func (l *Link) reportLimit(limit string, value any) {
	l.b.report.LimitExceeded(l.ctx, limit, fmt.Sprint(value), l.subject())
}

// admitHandshake lets a handshake begin within the limits of the process; b.admit.Leave ends it.
// ErrOverloaded.
func (b *Bridge) admitHandshake(ctx context.Context) error {
	var limit, value string
	switch b.admit.TryEnter() {
	case admission.None:
		return nil
	case admission.AtOnce:
		limit, value = "Options.MaxHandshakes", fmt.Sprint(b.opts.MaxHandshakes)
	case admission.PerSecond:
		limit, value = "Options.HandshakesPerSecond", fmt.Sprint(b.opts.HandshakesPerSecond)
	}
	b.report.LimitExceeded(ctx, limit, value, reporting.Subject{})
	return fmt.Errorf("%w: %s is %s", ErrOverloaded, limit, value)
}

// subject is whom audit lines about the session are about.
func (s *Session) subject() reporting.Subject {
	s.lock()
	defer s.unlock()
	return reporting.Subject{
		SessionID: s.id, ClientID: s.clientID, UserID: s.draft.Base().UserID,
		Addr: s.from.addr(), Via: string(s.from.via),
	}
}

// subject is whom audit lines about the connection are about.
func (l *Link) subject() reporting.Subject { return l.about(l.SessionID()) }

// about is subject for a session that the connection may not have any more, or not yet.
func (l *Link) about(sessionID string) reporting.Subject {
	return reporting.Subject{
		SessionID: sessionID, ClientID: l.entry.ClientID, UserID: l.b.links.UserOf(sessionID),
		Addr: l.origin.addr(), Via: string(ViaSocket),
	}
}

// reportTooMany counts and reports a connection that a limit has refused, if err is that of one.
func (b *Bridge) reportTooMany(ctx context.Context, err error, about reporting.Subject) {
	var limit string
	var value int
	switch {
	case errors.Is(err, ErrTooManySessionConns):
		limit, value = "Options.MaxConnsPerSession", b.opts.MaxConnsPerSession
	case errors.Is(err, ErrTooManyAddrConns):
		limit, value = "Options.MaxConnsPerAddr", b.opts.MaxConnsPerAddr
	default:
		return
	}
	b.stats.tooManyConns.Add(1)
	b.report.LimitExceeded(ctx, limit, fmt.Sprint(value), about)
}

// LogHash returns the hash by which log lines name the session, client or user with the ID; "" for
// "". It is an HMAC with a key that is derived from the first of Options.Keys, as it was when New was
// called: keep the hashes of users whose lines you may have to find after that key has changed.
func (b *Bridge) LogHash(id string) string { return b.report.Hash(id) }
