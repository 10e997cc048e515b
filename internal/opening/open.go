package opening

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/sessionbridge/sessionbridge/internal/credentials"
	"github.com/sessionbridge/sessionbridge/internal/devicebound"
	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/store"
)

// Opened is the result of opening a session.
type Opened struct {
	Standing   Standing
	Record     *store.Record     // never nil
	Token      credentials.Token // that was presented
	Generation uint64            // of that token
	Stale      bool              // all cookies with that token are to be signed anew
	Device     uint64            // the login whose binding has been proved: see Proof.Device
	// PassedOver reports whether other sessions were skipped because their newer token is on its
	// way to the browser.
	PassedOver bool
	// Rejection says why the first credential that was tried opened nothing, if none opened
	// anything.
	Rejection Rejection
	// Room is for the draft of the session, too.
	Room gateway.Room
}

// newOpened returns an Opened with memory for a record.
func newOpened() *Opened {
	all := &struct {
		opened Opened
		record store.Record
	}{}
	all.opened.Record = &all.record
	return &all.opened
}

// rejectedFor returns the Opened of credentials that open nothing. Its record is empty.
func rejectedFor(why Rejection) *Opened {
	o := newOpened()
	o.Rejection = why
	return o
}

// Standing is the relation between the presented token and the session.
type Standing uint8

// The standings.
const (
	None     Standing = iota // no session was opened
	Current                  // the session's token
	Previous                 // the one before it, within its grace period: the client has, or gets, the current one
	Late                     // Previous, but the client has had the current one: a late response has replaced it
	Lost                     // Previous, and the client hasn't presented the current one although it has had time for that
	Replaced                 // replaced by a login: the session is locked, see Proof.Locked
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
	NotRejected     Reason = iota
	NoSession              // the session doesn't exist
	OtherToken             // the session has another token
	ForeignClient          // Config.Strict: it came without its client's cookie
	Expired                // the session was past its time
	ReplacedByLogin        // the session has another token, because of a login
	OtherDevice            // the session is bound to a device, which the request doesn't prove
)

// The reasons for which a record doesn't open.
var (
	errRefused     = errors.New("opening: the credential is refused")
	errOtherClient = fmt.Errorf("%w: another client", errRefused)
	errStranger    = errors.New("opening: the session of a client of which the request has no cookie")
)

// Open opens the session that the request presents. It returns nil if the request presents no
// session credential. Concurrent handshakes share a load of one session. The result is usually into,
// which is zero but for its Record, unless that is nil.
//
// A browser may have several cookies of one name, set for different paths and domains or by sibling
// hosts, and doesn't tell them apart. Each is tried until one opens a session, in the order of
// credentials.Presented.CandidatesInOrder. A session whose token has just been replaced by a login
// is the result only if no other one opens.
//
// It returns gateway.ErrTokenRotated if a login has replaced the token and the request can't take
// the session over, gateway.ErrGone if the session has ended since the request began, or
// gateway.ErrUnavailable.
func (x *Exchange) Open(ctx context.Context, handshake bool, into *Opened) (*Opened, error) {
	if handshake {
		return x.open(ctx, byHandshake, into)
	}
	return x.open(ctx, byRequest, into)
}

// Peek is Open without effects: the session is not touched, the request stays what it is taken for,
// and nothing is reported. gateway.ErrTokenRotated if a login has replaced the token.
func (x *Exchange) Peek(ctx context.Context) (*Opened, error) { return x.open(ctx, byPeek, nil) }

// access is what a session is opened by.
type access uint8

const (
	byRequest access = iota
	byHandshake
	byPeek
)

func (x *Exchange) open(ctx context.Context, by access, into *Opened) (*Opened, error) {
	switch presented := x.presented.Sessions; len(presented) {
	case 0:
		return nil, nil
	case 1:
		if into == nil {
			into = newOpened()
		}
		return x.try(ctx, presented, by, false, into)
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
		switch o, err := x.try(ctx, cookies, by, knownClient, newOpened()); {
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
		switch o, err := x.try(ctx, cookies, by, false, newOpened()); {
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
	return rejectedFor(rejection), nil
}

// overtaken collects the presented sessions in which a user has logged in, or which have ended,
// since the request began.
type overtaken struct {
	err      error
	replaced *Opened
}

// is reports whether the session that was tried is one of them, and records it. A login takes
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

// try opens the session of one candidate, into o. It returns errStranger if ownOnly is true and the
// request has no cookie of the session's client.
func (x *Exchange) try(
	ctx context.Context, cookies credentials.Candidate, by access, ownOnly bool, o *Opened,
) (*Opened, error) {
	cfg, id := &x.o.cfg, cookies.ID()
	o.Rejection.SessionID = id
	var device devicebound.Verdict
	check := func(rec *store.Record) (err error) {
		o.Rejection.UserID = rec.UserID
		if ownOnly && !x.fits(rec) {
			return errStranger
		}
		o.Generation, o.Token, device, err = x.proveDevice(rec, cookies)
		switch {
		case by == byPeek && err == nil && cfg.Strict && !x.Owns(rec):
			err = errOtherClient
		case by == byPeek:
		case errors.Is(err, errOtherDevice):
			x.keepCookie()
		case errors.Is(err, errRefused):
			x.noteOutrun(rec)
		case err == nil && !x.bind(ctx, rec):
			err = errOtherClient
		}
		return err
	}
	var err error
	switch by {
	case byRequest:
		err = cfg.Gateway.LoadActive(ctx, id, o.Record, &o.Room, check)
	case byHandshake:
		err = cfg.Gateway.LoadActiveShared(ctx, id, o.Record, &o.Room, check)
	case byPeek:
		return x.peeked(ctx, o, cookies, check)
	}
	switch {
	case err == nil:
		err = cfg.Attach(ctx, o.Record, x.direct)
	case errors.Is(err, gateway.ErrTokenRotated):
		return x.replaced(o, cookies)
	case errors.Is(err, gateway.ErrMissing):
		if by == byRequest && x.endedMeanwhile(id, o.Record) { // a handshake makes no session
			return nil, gateway.ErrGone
		}
		cfg.Missing(ctx, id)
	}
	if err != nil {
		return o.rejected(err, cookies)
	}
	o.Rejection = Rejection{}
	o.Stale = cookies.Stale(o.Token)
	x.confirmDevice(ctx, o, device)
	o.stand(x)
	if rec := o.Record; o.Standing == Current && !rec.PrevTokenHash.IsZero() &&
		rec.LoginGeneration != rec.TokenGeneration &&
		rec.Renewal != store.RenewalSeen && rec.Renewal != store.RotationSeen {
		cfg.Gateway.RetirePrevious(ctx, rec, cfg.Grace.RetireAt(rec, x.began))
	}
	return o, nil
}

// peeked is try without effects.
func (x *Exchange) peeked(
	ctx context.Context, o *Opened, cookies credentials.Candidate, check func(*store.Record) error,
) (*Opened, error) {
	_, err := x.o.cfg.Gateway.LoadInto(ctx, cookies.ID(), o.Record, &o.Room, nil)
	if err == nil {
		err = check(o.Record)
	}
	if err != nil {
		return o.rejected(err, cookies)
	}
	o.Rejection = Rejection{}
	o.stand(x)
	return o, nil
}

// rejected returns the result for a session that failed to open with err.
func (o *Opened) rejected(err error, cookies credentials.Candidate) (*Opened, error) {
	why := o.Rejection
	switch {
	case errors.Is(err, gateway.ErrMissing):
		why = Rejection{Reason: NoSession, SessionID: why.SessionID}
		if o.Record.Expired(gateway.Now()) {
			why.Reason = Expired
		}
	case errors.Is(err, errOtherClient):
		why.Reason = ForeignClient
	case errors.Is(err, errOtherDevice):
		why.Reason = OtherDevice
	case errors.Is(err, errRefused):
		why.Reason = OtherToken
		if cookies.OlderThanLogin(o.Record) {
			why.Reason = ReplacedByLogin
		}
	default:
		return nil, err
	}
	return rejectedFor(why), nil
}

// stand sets the Standing of the token that was proved.
func (o *Opened) stand(x *Exchange) {
	rec := o.Record
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
	rec := o.Record
	i := slices.IndexFunc(cookies, func(c credentials.Session) bool { return c.Token.Hash() == rec.PrevTokenHash })
	if i < 0 || !x.Owns(rec) {
		return nil, gateway.ErrTokenRotated
	}
	x.fit(rec)
	return &Opened{Standing: Replaced, Record: rec, Token: cookies[i].Token}, nil
}

// Ticket is a ticket that has been redeemed, and what its requester had proved.
type Ticket struct {
	SessionID, ClientID string
	Generation          uint64 // of the token
	Device              uint64 // as Opened.Device
}

// OpenTicket opens a session without a token, for a ticket. If Opened.Standing is None the ticket
// opens nothing. It is never Current: the client has the ticket, not the token.
func (x *Exchange) OpenTicket(ctx context.Context, t Ticket) (o *Opened, err error) {
	o = newOpened()
	o.Standing, o.Generation, o.Device, o.Rejection.SessionID = Previous, t.Generation, t.Device, t.SessionID
	err = x.o.cfg.Gateway.LoadActive(ctx, t.SessionID, o.Record, &o.Room, func(rec *store.Record) error {
		o.Rejection.UserID = rec.UserID
		if t.ClientID != rec.ClientID || t.Generation < rec.LoginGeneration || !x.ticketProves(rec, &t) ||
			!x.bind(ctx, rec) {
			return errRefused
		}
		return nil
	})
	if err == nil {
		err = x.o.cfg.Attach(ctx, o.Record, x.direct)
	}
	if errors.Is(err, gateway.ErrMissing) || errors.Is(err, errRefused) {
		return rejectedFor(o.Rejection), nil
	}
	return o, err
}

// ticketProves reports whether the request that got the ticket has proved the device that the
// session is bound to. A binding may have come into force after that.
func (x *Exchange) ticketProves(rec *store.Record, t *Ticket) bool {
	login, over := x.o.cfg.Devices.Deadline(rec)
	return login == 0 || t.Device >= login && gateway.Now().Before(over)
}

// OpenImported opens a session that was imported from another library, for a request that presents
// that library's credential, from which s is derived. The response sets the session's credential.
func (x *Exchange) OpenImported(ctx context.Context, s credentials.Session) (*Opened, error) {
	x.mu.Lock()
	x.imports = true
	x.mu.Unlock()
	o, err := x.try(ctx, credentials.Candidate{s}, byRequest, false, newOpened())
	if err == nil && o.Standing == Current {
		x.SetSession(Cookie{s, cookieAge(o.Record)})
	}
	return o, err
}

// PeekImported is OpenImported without effects: see Peek.
func (x *Exchange) PeekImported(ctx context.Context, s credentials.Session) (*Opened, error) {
	o, cookies := newOpened(), credentials.Candidate{s}
	o.Rejection.SessionID = s.ID
	return x.peeked(ctx, o, cookies, func(rec *store.Record) (err error) {
		o.Rejection.UserID = rec.UserID
		o.Generation, o.Token, _, err = x.proveDevice(rec, cookies)
		return err
	})
}
