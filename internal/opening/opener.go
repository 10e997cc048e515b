package opening

import (
	"context"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/sessionbridge/sessionbridge/internal/credentials"
	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/store"
)

// Config is how an Opener decides. Every function is set.
type Config struct {
	Gateway    *gateway.Gateway
	Codec      *credentials.Codec
	Grace      credentials.Grace      // how long a previous token is accepted, and the age at which tokens are renewed
	Successors credentials.Successors // of the tokens that are replaced
	Strict     bool                   // a session opens only with its client's cookie
	Nodes      bool                   // other processes use the store

	// SessionOf returns a client's newest session, ClientOf a session's client, as far as this
	// process knows them.
	SessionOf func(clientID string) (sessionID string, known bool)
	ClientOf  credentials.ClientOf

	// Overtakes reports whether a login of the client counts, which has overtaken a request.
	Overtakes func(clientID string, login *store.Record) bool
	// Attach is called for a session that is about to be opened. gateway.ErrMissing if it has
	// ended.
	Attach func(ctx context.Context, rec *store.Record) error
	// Missing is called for a session that is presented and is not in the store.
	Missing func(ctx context.Context, sessionID string)
	// Mismatched is called for a session that comes with another client's cookie, or with none.
	// clientID is the client that the request has been taken for.
	Mismatched func(ctx context.Context, rec *store.Record, clientID string)
}

// Opener opens the sessions of requests. It is safe for concurrent use.
type Opener struct {
	cfg  Config
	ends ends
}

// New returns an Opener.
func New(cfg Config) *Opener { return &Opener{cfg: cfg} }

// Begin begins the Exchange of a request. secure says whether cookies in the response carry the
// Secure attribute. It reports whether the request presents a session credential, but none whose
// signature holds.
func (o *Opener) Begin(x *Exchange, r *http.Request, secure bool) (forged bool) {
	x.o, x.began = o, time.Now()
	forged = o.cfg.Codec.Read(&x.presented, r, secure)
	x.answer.Begin(&x.presented)
	if cookie, ok := x.presented.LikelyClient(o.cfg.ClientOf); ok {
		x.useClient(cookie)
	} else {
		x.answer.NewClient(uuid.NewString())
	}
	return forged
}

// Ended notes that this process has ended the session just now.
func (o *Opener) Ended(sessionID string) { o.ends.add(sessionID) }
