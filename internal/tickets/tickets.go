package tickets

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/sessionbridge/sessionbridge/internal/clock"
	"github.com/sessionbridge/sessionbridge/internal/credentials"
	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/store"
)

// ErrInvalid is returned for a ticket that has been redeemed, has expired, is refused or is
// malformed. The bridge exports it, hence the prefix.
var ErrInvalid = errors.New("bridge: the ticket opens nothing")

// Kind is the purpose of a ticket. It can't be redeemed for another one.
type Kind string

// The kinds.
const (
	Handshake Kind = "socket" // opens the session in a WebSocket handshake
	Login     Kind = "login"  // logs in over HTTP, or rotates the token if the ticket names no user
)

// Ticket is the content of a ticket.
type Ticket struct {
	Kind       Kind   `json:"k"`
	SessionID  string `json:"s"`
	ClientID   string `json:"c"`
	Generation uint64 `json:"g"`           // of the token that its requester has proved
	Device     uint64 `json:"d,omitempty"` // login whose binding its requester has proved, 0 for none
	UserID     string `json:"u,omitempty"`
	Issuer     string `json:"n"` // Config.Issuer; set by Issue
}

// Config has the settings of Tickets.
type Config struct {
	// Issuer distinguishes the applications on a store: they don't redeem each other's tickets.
	Issuer string
	// Lifetime is how long a ticket can be redeemed.
	Lifetime time.Duration
	// StoreTimeout limits each operation of the store.
	StoreTimeout time.Duration

	// Clock calls for the removal of expired tickets.
	Clock *clock.Clock
	// Go runs the removal in a goroutine that its owner waits for.
	Go func(task func())
	// Failed is called with the error of a removal.
	Failed func(err error)
}

// Tickets issues and redeems tickets. It is safe for concurrent use.
type Tickets struct {
	cfg   Config
	store store.Store

	// These find the expired records; at least one is not nil.
	sweeper store.Sweeper
	lister  store.Lister

	tidying tidying
}

// namespace is that of the tickets in a store.
const namespace = "sessionbridge.tickets"

// New returns the Tickets in st.
func New(st store.Store, cfg Config) *Tickets {
	t := &Tickets{cfg: cfg}
	if spaces, ok := store.As[store.Namespacer](st); ok {
		t.store = spaces.App(namespace)
		t.sweeper, _ = store.As[store.Sweeper](t.store)
		t.lister, _ = store.As[store.Lister](t.store)
	}
	if t.sweeper == nil && t.lister == nil {
		memory := newMemory()
		t.store, t.sweeper = memory, memory
	}
	return t
}

// Issue stores the ticket and returns its text. It returns gateway.ErrUnavailable if the store
// fails, or the cause of ctx's end.
func (t *Tickets) Issue(ctx context.Context, what Ticket) (string, error) {
	what.Issuer = t.cfg.Issuer
	data, err := json.Marshal(what)
	if err != nil {
		return "", fmt.Errorf("bridge: ticket: %w", err)
	}
	id, secret, now := uuid.New(), credentials.NewToken(), gateway.Now()
	rec := store.Record{
		ID: id.String(), TokenHash: secret.Hash(), TokenGeneration: 1, Data: data,
		Created: now, Seen: now, Expires: now.Add(t.cfg.Lifetime), Lifetime: t.cfg.Lifetime, Writes: 1,
	}
	_, _ = rand.Read(rec.WriteID[:])
	limited, cancel := context.WithTimeout(ctx, t.cfg.StoreTimeout)
	defer cancel()
	if _, err := t.store.Set(limited, rec); err != nil {
		return "", gateway.Unavailable(ctx, "store a ticket", err)
	}
	t.tidyAfter(rec.Expires)
	return format(id, secret), nil
}

// Redeem returns the content of the ticket, to one caller only. accept may refuse the ticket before
// it is redeemed; a refused ticket stays valid. It returns ErrInvalid, gateway.ErrUnavailable, or
// the cause of ctx's end.
func (t *Tickets) Redeem(ctx context.Context, text string, kind Kind, accept func(*Ticket) bool) (*Ticket, error) {
	id, secret, ok := parse(text)
	if !ok {
		return nil, ErrInvalid
	}
	limited, cancel := context.WithTimeout(ctx, t.cfg.StoreTimeout)
	defer cancel()
	rec, err := t.store.Get(limited, id)
	if errors.Is(err, store.ErrNotFound) {
		return nil, ErrInvalid
	}
	if err == nil {
		err = gateway.CheckRecord(&rec, id)
	}
	if err != nil {
		return nil, gateway.Unavailable(ctx, "load a ticket", err)
	}
	var what Ticket
	hash := secret.Hash()
	switch {
	case subtle.ConstantTimeCompare(hash[:], rec.TokenHash[:]) != 1, rec.Expired(gateway.Now()):
		return nil, ErrInvalid
	case json.Unmarshal(rec.Data, &what) != nil:
		return nil, ErrInvalid
	}
	if what.Kind != kind || what.Issuer != t.cfg.Issuer || !accept(&what) {
		return nil, ErrInvalid
	}
	redeemed, err := t.store.Destroy(limited, id)
	if err != nil {
		return nil, gateway.Unavailable(ctx, "redeem a ticket", err)
	}
	if !redeemed {
		return nil, ErrInvalid // another caller has redeemed it meanwhile
	}
	return &what, nil
}
