package bridge

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/sessionbridge/sessionbridge/internal/credentials"
	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/store"
)

// ticketsApp is the namespace of the tickets in a store, apart from every application's sessions.
const ticketsApp = "sessionbridge.tickets"

// tickets are what can be redeemed once (ASVS 4.4.3–4). A ticket is a record of its own, which holds the hash of the ticket's secret: whoever destroys the record has redeemed
// it, and a store lets only one do that, on whatever node and after whatever restart.
type tickets struct {
	b  *Bridge
	st store.Store

	// What finds those that have expired; one of them is there.
	sweeper store.Sweeper
	lister  store.Lister

	tidying ticketTidying
}

// ticket is what one stands for.
type ticket struct {
	Kind       ticketKind `json:"k"`
	SessionID  string     `json:"s"`
	ClientID   string     `json:"c"`
	Generation uint64     `json:"g"` // of the token that whoever asked for it has proved
	UserID     string     `json:"u,omitempty"`
	Name       string     `json:"n"` // of the Bridge's session cookie: Bridges that share a store's tickets don't redeem one another's
}

// ticketKind is what a ticket is good for; it is good for nothing else.
type ticketKind string

const (
	socketTicket ticketKind = "socket" // a handshake
	loginTicket  ticketKind = "login"  // a Login, or a Rotate if it has no user
)

func newTickets(st store.Store, b *Bridge) *tickets {
	t := &tickets{b: b}
	if spaces, ok := st.(store.Namespacer); ok {
		t.st = spaces.App(ticketsApp)
		t.sweeper, _ = t.st.(store.Sweeper)
		t.lister, _ = t.st.(store.Lister)
	}
	if t.sweeper == nil && t.lister == nil {
		memory := newTicketMemory()
		t.st, t.sweeper = memory, memory
	}
	return t
}

const ticketBytes = 16 + 16 // an ID and a secret

// ticketEncoding is strict, so that there is one text for each ticket.
var ticketEncoding = base64.RawURLEncoding.Strict()

// issue stores the ticket and returns its text.
func (t *tickets) issue(ctx context.Context, what ticket) (string, error) {
	what.Name = t.b.opts.Name
	data, err := json.Marshal(what)
	if err != nil {
		return "", fmt.Errorf("bridge: ticket: %w", err)
	}
	id, secret, now := uuid.New(), credentials.NewToken(), gateway.Now()
	rec := store.Record{
		ID: id.String(), TokenHash: secret.Hash(), TokenGeneration: 1, Data: data,
		Created: now, Seen: now, Expires: now.Add(t.b.opts.TicketLifetime), Lifetime: t.b.opts.TicketLifetime, Writes: 1,
	}
	_, _ = rand.Read(rec.WriteID[:])
	ctx, cancel := context.WithTimeout(ctx, t.b.opts.StoreTimeout)
	defer cancel()
	if _, err := t.st.Set(ctx, rec); err != nil {
		return "", fmt.Errorf("%w: store a ticket: %w", ErrStoreUnavailable, err)
	}
	t.tidyAfter(rec.Expires)
	return ticketEncoding.EncodeToString(append(id[:], secret[:]...)), nil
}

// redeem returns what the ticket stands for, to one caller only. good may refuse it before that: then it is as it was. ErrTicket, ErrStoreUnavailable.
func (t *tickets) redeem(ctx context.Context, text string, kind ticketKind, good func(*ticket) bool) (*ticket, error) {
	id, secret, ok := parseTicket(text)
	if !ok {
		return nil, ErrTicket
	}
	ctx, cancel := context.WithTimeout(ctx, t.b.opts.StoreTimeout)
	defer cancel()
	rec, err := t.st.Get(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return nil, ErrTicket
	}
	if err == nil {
		err = gateway.CheckRecord(&rec, id)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: load a ticket: %w", ErrStoreUnavailable, err)
	}
	var what ticket
	hash := secret.Hash()
	if subtle.ConstantTimeCompare(hash[:], rec.TokenHash[:]) != 1 || rec.Expired(gateway.Now()) || json.Unmarshal(rec.Data, &what) != nil {
		return nil, ErrTicket
	}
	if what.Kind != kind || what.Name != t.b.opts.Name || !good(&what) {
		return nil, ErrTicket
	}
	was, err := t.st.Destroy(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("%w: redeem a ticket: %w", ErrStoreUnavailable, err)
	}
	if !was {
		return nil, ErrTicket // somebody else has redeemed it meanwhile
	}
	return &what, nil
}

func parseTicket(text string) (id string, secret credentials.Token, ok bool) {
	var raw [ticketBytes]byte
	if len(text) != ticketEncoding.EncodedLen(len(raw)) {
		return "", secret, false
	}
	if _, err := ticketEncoding.Decode(raw[:], []byte(text)); err != nil {
		return "", secret, false
	}
	return uuid.UUID(raw[:16]).String(), credentials.Token(raw[16:]), true
}

const ticketSweep = 256 // that are removed in one go

// sweep removes the tickets that have expired.
func (t *tickets) sweep(ctx context.Context) error {
	err := t.sweepAll(ctx, gateway.Now())
	if err != nil && ctx.Err() == nil {
		err = fmt.Errorf("%w: sweep tickets: %w", ErrStoreUnavailable, err)
	}
	return err
}

func (t *tickets) sweepAll(ctx context.Context, now time.Time) error {
	if t.sweeper == nil {
		for rec, err := range t.lister.List(ctx) {
			if err == nil && rec.Expired(now) {
				_, err = t.st.Destroy(ctx, rec.ID)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
	for {
		recs, err := t.sweepPiece(ctx, now)
		if err != nil || len(recs) < ticketSweep {
			return err
		}
	}
}

func (t *tickets) sweepPiece(ctx context.Context, now time.Time) ([]store.Record, error) {
	ctx, cancel := context.WithTimeout(ctx, t.b.opts.StoreTimeout)
	defer cancel()
	return t.sweeper.Sweep(ctx, now, ticketSweep)
}
