package opening

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/sessionbridge/sessionbridge/internal/credentials"
	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/store"
)

// Opened is the result of opening a session.
type Opened struct {
	Standing   Standing
	Record     store.Record
	Token      credentials.Token // that was presented
	Generation uint64            // of that token
	// PassedOver reports whether other sessions were skipped because their newer token is on its
	// way to the browser.
	PassedOver bool
	// Rejection says why the first credential that was tried opened nothing, if none opened
	// anything.
	Rejection Rejection
}

// Standing is what the presented token is to the session.
type Standing uint8

// The standings.
const (
	None     Standing = iota // no session was opened
	Current                  // the session's token
	Previous                 // the one before it, within its grace period: the client has, or gets, the current one
	Late                     // Previous, but the client has had the current one: a late response has replaced it
	Lost                     // Previous, and the client has had time enough to present the current one, but hasn't
	Replaced                 // a login has replaced it: the session is locked, see Proof.Locked
)

// Rejection is a session credential that opened nothing.
type Rejection struct {
	Reason            Reason
	SessionID, UserID string // the session that it names, and its user if the session exists
}

// Reason says why a credential opened nothing.
type Reason uint8

// The reasons.
const (
	NotRejected   Reason = iota
	NoSession            // the session doesn't exist
	OtherToken           // the session has another token
	ForeignClient        // Config.Strict: it came without its client's cookie
)

// The reasons for which a record doesn't open.
var (
	errRefused     = errors.New("opening: the credential is refused")
	errOtherClient = fmt.Errorf("%w: another client", errRefused)
	errStranger    = errors.New("opening: the session of a client of which the request has no cookie")
)

// Open opens the session that the request presents. It returns nil if the request presents no
// session credential. Concurrent handshakes share a load of one session.
//
// A browser may have several cookies of one name, set for different paths and domains or by sibling
// hosts, and doesn't tell them apart. Each is tried until one opens a session, in the order of
// credentials.Presented.CandidatesInOrder. A session whose token has just been replaced by a login
// is the result only if no other one opens.
//
// gateway.ErrTokenRotated if a login has replaced the token, and the request can't take the session
// over; gateway.ErrGone if the session has ended since the request began; gateway.ErrUnavailable.
func (x *Exchange) Open(ctx context.Context, handshake bool) (*Opened, error) {
	switch presented := x.presented.Sessions; len(presented) {
	case 0:
		return nil, nil
	case 1:
		return x.try(ctx, presented, handshake, false)
	}
	list, err := x.candidates(ctx)
	if err != nil {
		return nil, err
	}
	var late overtaken
	var rejection Rejection
	knownClient := len(x.presented.Clients) > 0
	strangers := list[:0:0]
	for _, cookies := range list {
		switch o, err := x.try(ctx, cookies, handshake, knownClient); {
		case errors.Is(err, errStranger):
			strangers = append(strangers, cookies)
		case late.is(o, err):
		case err != nil:
			return nil, err
		case o.Standing != None:
			o.PassedOver = late.err != nil
			return o, nil
		case rejection.Reason == NotRejected:
			rejection = o.Rejection
		}
	}
	if late.err != nil && knownClient { // it is the client's own, and its newer cookie is on its way
		return late.answer()
	}
	for _, cookies := range strangers {
		switch o, err := x.try(ctx, cookies, handshake, false); {
		case late.is(o, err):
		case err != nil || o.Standing != None:
			return o, err
		case rejection.Reason == NotRejected:
			rejection = o.Rejection
		}
	}
	if late.err != nil {
		return late.answer()
	}
	return &Opened{Rejection: rejection}, nil
}

// overtaken collects the presented sessions in which a user has logged in, or which have ended,
// since the request began.
type overtaken struct {
	err      error
	replaced *Opened
}

// is reports whether the session that was tried is one of those, and records it. A login takes
// precedence over an end.
func (l *overtaken) is(o *Opened, err error) bool {
	switch {
	case errors.Is(err, gateway.ErrTokenRotated):
		l.err = err
	case err == nil && o.Standing == Replaced:
		l.err = gateway.ErrTokenRotated
		if l.replaced == nil {
			l.replaced = o
		}
	case errors.Is(err, gateway.ErrGone):
		if l.err == nil {
			l.err = err
		}
	default:
		return false
	}
	return true
}

func (l *overtaken) answer() (*Opened, error) {
	if l.replaced != nil {
		return l.replaced, nil
	}
	return nil, l.err
}

// try opens the session of one candidate. errStranger if ownOnly is true and the request has no
// cookie of the session's client.
func (x *Exchange) try(
	ctx context.Context, cookies credentials.Candidate, handshake, ownOnly bool,
) (*Opened, error) {
	cfg, id := &x.o.cfg, cookies.ID()
	o := &Opened{Rejection: Rejection{SessionID: id}}
	check := func(rec *store.Record) (err error) {
		o.Rejection.UserID = rec.UserID
		if ownOnly && !x.fits(rec) {
			return errStranger
		}
		o.Generation, o.Token, err = x.prove(rec, cookies)
		switch {
		case errors.Is(err, errRefused):
			x.noteOutrun(rec)
		case err == nil && !x.bind(ctx, rec):
			err = errOtherClient
		}
		return err
	}
	var err error
	if handshake {
		o.Record, err = cfg.Gateway.LoadActiveShared(ctx, id, check)
	} else {
		o.Record, err = cfg.Gateway.LoadActive(ctx, id, check)
	}
	switch {
	case err == nil:
		err = cfg.Attach(ctx, &o.Record)
	case errors.Is(err, gateway.ErrTokenRotated):
		return x.replaced(o, cookies)
	case errors.Is(err, gateway.ErrMissing):
		if !handshake && x.endedMeanwhile(id, &o.Record) { // a handshake makes no session
			return nil, gateway.ErrGone
		}
		cfg.Missing(ctx, id)
	}
	if err != nil {
		return o.rejected(err)
	}
	o.Rejection = Rejection{}
	o.stand(x)
	if rec := &o.Record; o.Standing == Current && !rec.PrevTokenHash.IsZero() &&
		rec.LoginGeneration != rec.TokenGeneration &&
		rec.Renewal != store.RenewalSeen && rec.Renewal != store.RotationSeen {
		cfg.Gateway.RetirePrevious(ctx, rec, cfg.Grace.RetireAt(rec, x.began))
	}
	return o, nil
}

// rejected returns the result for a session that failed to open with err.
func (o *Opened) rejected(err error) (*Opened, error) {
	switch why := o.Rejection; {
	case errors.Is(err, gateway.ErrMissing):
		return &Opened{Rejection: Rejection{Reason: NoSession, SessionID: why.SessionID}}, nil
	case errors.Is(err, errOtherClient):
		why.Reason = ForeignClient
		return &Opened{Rejection: why}, nil
	case errors.Is(err, errRefused):
		why.Reason = OtherToken
		return &Opened{Rejection: why}, nil
	}
	return nil, err
}

// stand says what the token that was proved is to the session.
func (o *Opened) stand(x *Exchange) {
	rec := &o.Record
	o.Standing = Current
	if o.Generation == rec.TokenGeneration {
		return
	}
	o.Standing = Previous
	if x.began.Sub(rec.RotatedAt) < x.o.cfg.Grace.Rotate {
		return
	}
	switch rec.Renewal {
	case store.RenewalSent:
		o.Standing = Lost
	case store.RenewalSeen:
		o.Standing = Late
	case store.NotRenewed, store.RotationSeen:
	}
}

// replaced is the result for a session whose token a login has replaced: see Proof.Locked. Only the
// session's own browser can log in with that token.
func (x *Exchange) replaced(o *Opened, cookies credentials.Candidate) (*Opened, error) {
	rec := &o.Record
	i := slices.IndexFunc(cookies, func(c credentials.Session) bool { return c.Token.Hash() == rec.PrevTokenHash })
	if i < 0 || !x.Owns(rec) {
		return nil, gateway.ErrTokenRotated
	}
	x.fit(rec)
	return &Opened{Standing: Replaced, Record: *rec, Token: cookies[i].Token}, nil
}

// OpenTicket opens a session without a token, for a ticket of the client and of the generation of
// the token that its issuer had proved. If Opened.Standing is None the ticket opens nothing. It is
// never Current: the client has the ticket, not the token.
func (x *Exchange) OpenTicket(
	ctx context.Context, sessionID, clientID string, generation uint64,
) (o *Opened, err error) {
	o = &Opened{Standing: Previous, Generation: generation, Rejection: Rejection{SessionID: sessionID}}
	o.Record, err = x.o.cfg.Gateway.LoadActive(ctx, sessionID, func(rec *store.Record) error {
		o.Rejection.UserID = rec.UserID
		if clientID != rec.ClientID || generation < rec.LoginGeneration || !x.bind(ctx, rec) {
			return errRefused
		}
		return nil
	})
	if err == nil {
		err = x.o.cfg.Attach(ctx, &o.Record)
	}
	if errors.Is(err, gateway.ErrMissing) || errors.Is(err, errRefused) {
		return &Opened{Rejection: o.Rejection}, nil
	}
	return o, err
}
