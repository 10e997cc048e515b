package opening

import (
	"context"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/sessionbridge/sessionbridge/internal/credentials"
	"github.com/sessionbridge/sessionbridge/internal/devicebound"
	"github.com/sessionbridge/sessionbridge/internal/ends"
	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/store"
)

// Config is how an Opener decides. Every function is set.
type Config struct {
	Gateway    *gateway.Gateway
	Codec      *credentials.Codec
	Grace      credentials.Grace       // how long a previous token is accepted, and the age at which tokens are renewed
	Successors *credentials.Successors // of the tokens that are replaced
	Devices    *devicebound.Devices    // that sessions are bound to; nil: none are
	Strict     bool                    // a session opens only with its client's cookie
	Nodes      bool                    // other processes use the store

	// SessionOf returns a client's newest session, ClientOf a session's client, as far as this
	// process knows them.
	SessionOf func(clientID string) (sessionID string, known bool)
	ClientOf  credentials.ClientOf

	// Overtakes reports whether a login of the client counts, which has overtaken a request.
	Overtakes func(clientID string, login *store.Record) bool
	// Attach is called for a session that is about to be opened; direct reports that this happens
	// without a request: see Opener.BeginToken. It returns gateway.ErrMissing if the session has
	// ended.
	Attach func(ctx context.Context, rec *store.Record, direct bool) error
	// Missing is called for a session that is presented and is not in the store.
	Missing func(ctx context.Context, sessionID string)
	// Mismatched is called for a session that comes with another client's cookie, or with none.
	// clientID is the client that the request was attributed to before.
	Mismatched func(ctx context.Context, rec *store.Record, clientID string)
	// Unconfirmed is called if the first proof of a session's device could not be stored.
	Unconfirmed func(ctx context.Context, sessionID string, err error)
}

// Opener opens the sessions of requests. It is safe for concurrent use.
type Opener struct {
	cfg  Config
	ends *ends.Log
}

// New returns an Opener.
func New(cfg Config) *Opener { return &Opener{cfg: cfg, ends: newEnds()} }

// SetKeys replaces the keys: the first signs, all verify.
func (o *Opener) SetKeys(keys [][]byte) {
	o.cfg.Codec.SetKeys(keys)
	o.cfg.Successors.SetKeys(keys)
	o.cfg.Devices.SetKeys(keys)
}

// Begin begins the Exchange of a request. secure says whether cookies in the response carry the
// Secure attribute. It reports whether the request presents a session credential, but none with a
// valid signature.
func (o *Opener) Begin(x *Exchange, r *http.Request, secure bool) (forged bool) {
	x.o, x.began = o, time.Now()
	forged = o.cfg.Codec.Read(&x.presented, r, secure)
	x.device = o.cfg.Devices.Read(r)
	o.begin(x)
	return forged
}

// BeginToken is Begin for a caller that presents a token without a request, and the client that it
// says it has, "" for none: a session of another client is a mismatch, as with a client cookie.
// Nothing is answered, so Exchange.Open is all that is left to call. It returns false if the
// signature of the token doesn't hold, or if the token is of another session than the named one;
// "" names none.
func (o *Opener) BeginToken(x *Exchange, token, sessionID, clientID string) bool {
	x.o, x.began, x.direct = o, time.Now(), true
	if !o.cfg.Codec.ReadToken(&x.presented, token, clientID) ||
		sessionID != "" && sessionID != x.presented.Sessions[0].ID {
		return false
	}
	o.begin(x)
	return true
}

// begin chooses the client until a session is opened.
func (o *Opener) begin(x *Exchange) {
	x.answer.Begin(&x.presented)
	if cookie, ok := x.presented.LikelyClient(o.cfg.ClientOf); ok {
		x.useClient(cookie)
	} else {
		x.answer.NewClient(uuid.NewString())
	}
}

// Codec returns the Codec of the tokens.
func (o *Opener) Codec() *credentials.Codec { return o.cfg.Codec }

// Ended notes that this process has ended the session just now.
func (o *Opener) Ended(sessionID string) { o.ends.Add(sessionID, "") }
