package bridge

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/sessionbridge/sessionbridge/internal/credentials"
	"github.com/sessionbridge/sessionbridge/internal/errorcodes"
	"github.com/sessionbridge/sessionbridge/internal/forwarded"
	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/internal/logins"
	"github.com/sessionbridge/sessionbridge/internal/opening"
	"github.com/sessionbridge/sessionbridge/internal/ranges"
	"github.com/sessionbridge/sessionbridge/internal/redact"
	"github.com/sessionbridge/sessionbridge/store"
)

// LoadOrCreateKeys returns the keys in the file at path, for Options.Keys. The text has the form of
// ParseKeys. If there is no such file it creates one with a random key, readable by its owner only
// (0600); processes that do so at the same time get the same key. A file that others can read, a
// symbolic link, and a file without a key are errors. For a mounted secret use LoadKeys.
func LoadOrCreateKeys(path string) ([][]byte, error) {
	return prefixed(credentials.LoadOrCreateKeys(path))
}

// LoadKeys returns the keys in a file that another program has made, for Options.Keys: a secret
// mounted by Kubernetes, Docker or systemd. It follows symbolic links. Users other than the owner
// may read the file, but not write it. The text has the form of ParseKeys. An absent file
// (fs.ErrNotExist) is an error, and so is a file without a key: LoadKeys never creates keys.
func LoadKeys(path string) ([][]byte, error) {
	return prefixed(credentials.LoadKeys(path))
}

// ParseKeys returns the keys in text, for Options.Keys: the value of an environment variable, for
// example. Each is in base64 (standard alphabet, with padding) and has at least 32 bytes; the first
// one signs. They are separated by line breaks, spaces or commas; # begins a comment, which ends
// with its line. It is an error if there is no key, as in a variable that isn't set, or if a key is
// malformed: the error names the line, never the key.
func ParseKeys(text string) ([][]byte, error) {
	return prefixed(credentials.ParseKeys(text))
}

// SetKeys replaces Options.Keys while the Bridge runs: the first key signs from now on, all verify.
// Cookies that another key has signed are signed anew one by one: see Options.Keys. A cookie whose
// key is no longer among them is treated as absent, so keep a key until its cookies are signed anew
// or have expired.
//
// Several processes on one store must verify what any of them signs. Add a new key behind the old
// one in all of them, then put it first in all of them, then remove the old one:
// docs/operations.md. The hashes of IDs in the log don't change until New is called with another
// first key.
//
// An error names the key, as that of New does; then nothing has changed. SetKeys copies the keys.
func (b *Bridge) SetKeys(keys [][]byte) error {
	keys, err := credentials.CopyKeys(keys, bad)
	if err == nil {
		b.opener.SetKeys(keys)
		b.kept.SetSecrets(keptSecrets(keys))
	}
	return err
}

// prefixed adds the package to an error.
func prefixed(keys [][]byte, err error) ([][]byte, error) {
	if err != nil {
		return nil, fmt.Errorf("bridge: %w", err)
	}
	return keys, nil
}

// TokenFromHeader returns an Options.TokenFrom for clients that send their token in the named
// header, with or without "Bearer " before it. A client that sends the header needs no cookies;
// before it has a token it sends an empty header, or just "Bearer". A value of another scheme
// ("Basic …") is ignored.
//
// Browsers send such a header only for scripts of an origin that the application's CORS rules
// allow, so cross-site requests can't use it. But a web page can store the token only where other
// scripts can read it, unlike the session cookie: use this for programs that aren't web pages.
func TokenFromHeader(name string) func(r *http.Request) (token string, ok bool) {
	return credentials.TokenFromHeader(name)
}

// TokenFromProtocol returns an Options.TokenFrom for WebSocket clients that can't set headers at a
// handshake. They offer a subprotocol that consists of the prefix and the token, and Subprotocol
// with it, for the server to accept. An empty prefix stands for "sessionbridge.token.".
func TokenFromProtocol(prefix string) func(r *http.Request) (token string, ok bool) {
	return credentials.TokenFromProtocol(prefix)
}

// NewSession is the session that Bridge.Create makes. A zero field means its default. As for
// Credentials, fmt and slog print neither its user nor its values.
type NewSession struct {
	// UserID is the user who is logged in. Default: none, a guest.
	UserID string
	// ClientID is the client that the session belongs to: of Session.ClientID, ClientIDFrom or an
	// Info. Default: a new client.
	ClientID string
	// Data are the values, encoded as Session.Set does. Default: none.
	Data map[string]any
	// Idle and Lifetime are those of Session.SetIdleTimeout and SetLifetime: 1 ms to 100 years, or
	// Off. Defaults: Options.IdleTimeout and Options.Lifetime, or what SetTimeouts has set.
	Idle, Lifetime time.Duration
	// Options.Cookie decides whether a browser keeps the session's cookie: there is no field for it.
	// Call Session.SetPersistent in WithCredentials for another choice.

	// Addr and UserAgent are shown in Info, as Options.RecordAddr and RecordUserAgent allow. Addr is
	// an IP address, whose port and zone are dropped: "192.0.2.1", "192.0.2.1:5060", "[::1]:5060".
	// Of UserAgent at most 256 bytes are kept. Default: none.
	Addr, UserAgent string
}

// Format implements fmt.Formatter.
func (n NewSession) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, n.redacted()) }

// LogValue implements slog.LogValuer.
func (n NewSession) LogValue() slog.Value { return slog.StringValue(n.redacted()) }

func (n NewSession) redacted() string { return redact.Struct("bridge.NewSession", n, "UserID", "Data") }

// Credentials open a session without an HTTP request: see Bridge.Create and Bridge.Open. They are a
// secret: any program that has them can use the session. fmt and slog print none of them.
// encoding/json writes them, so that they can be sent, and so does slog's JSONHandler with those
// inside another value.
type Credentials struct {
	// SessionID is the session's public handle. Open takes it from the token if it is "".
	SessionID string
	// ClientID is the client that the session belongs to. It proves nothing. If it is "", Open
	// doesn't compare it.
	ClientID string
	// Token is the secret: what the session cookie has as its value, and SessionTokenHeader brings
	// to a client without cookies. White space around it, such as the end of a file's line, doesn't
	// count.
	Token string
}

// Format implements fmt.Formatter.
func (c Credentials) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, c.redacted()) }

// LogValue implements slog.LogValuer.
func (c Credentials) LogValue() slog.Value { return slog.StringValue(c.redacted()) }

func (c Credentials) redacted() string {
	return redact.Struct("bridge.Credentials", c, "SessionID", "ClientID", "Token")
}

// Create stores a new session, also an empty one, and returns what opens it: for RPCs, queues, jobs
// and tests, where there is no request. The store keeps only a hash of the token, so it can't be
// shown again. With a UserID it is a login: the limits on sessions apply, DestroyUser covers it,
// and SessionSet has Login. As over HTTP, a session of a ClientID becomes the client's newest, and
// the client's other connections are closed with CodeReconnect (Options.Rebind).
//
// Over HTTP the token is one of HTTPS, for cookies and for Options.TokenFrom; with SecureNever it
// is one of plain HTTP.
//
// ErrUserID, ErrTooManySessions, ErrSessionTooLarge, a *ValueError, an error that names a field
// that is out of range, the cause of ctx's end, and ErrStoreUnavailable: then the session may
// exist, and expires without having been used.
func (b *Bridge) Create(ctx context.Context, n NewSession) (Credentials, error) {
	encoded := gateway.EncodeAll(n.Data)
	rec, err := b.recordOf(&n)
	if err = cmp.Or(context.Cause(ctx), err); err != nil {
		return Credentials{}, err
	}
	token := opening.Issue(&rec)
	s, err := b.newSession(rec, &origin{via: ViaAPI, lone: n.ClientID == ""})
	if err != nil {
		return Credentials{}, err
	}
	defer s.seal()
	s.proof = new(opening.Proof)
	b.opener.Issued(s.proof, token, &s.draft)
	var login *gateway.Login
	if n.UserID != "" {
		login = &gateway.Login{UserID: n.UserID, Addr: rec.Addr, UserAgent: rec.UserAgent}
	}
	err = s.try(func() error {
		s.draft.SetAll(encoded)
		return s.proof.Replace(login) // without a login, too: then a session without values is stored
	})
	if err == nil {
		err = s.commit(ctx)
	}
	if err == nil && s.over() { // BeforeCommit has destroyed it
		err = ErrSessionGone
	}
	if err != nil {
		return Credentials{}, err
	}
	return b.credentialsOf(rec.ClientID, credentials.Session{ID: rec.ID, Token: token}, b.opts.Secure != SecureNever)
}

// recordOf returns the record of the new session, without its values.
func (b *Bridge) recordOf(n *NewSession) (rec store.Record, err error) {
	if n.UserID != "" {
		if err := logins.CheckUserID(n.UserID); err != nil {
			return rec, fmt.Errorf("%w (NewSession.UserID)", err)
		}
	}
	if err := credentials.CheckClientID("NewSession.ClientID", n.ClientID); err != nil {
		return rec, err
	}
	addr, err := forwarded.ClientAddr("NewSession.Addr", n.Addr)
	if err != nil {
		return rec, err
	}
	rec = b.newRecord(uuid.NewString(), cmp.Or(n.ClientID, uuid.NewString()),
		b.records.Addr(addr), b.records.UserAgent(n.UserAgent))
	for _, limit := range []struct {
		name  string
		value time.Duration
		of    *time.Duration
	}{{"NewSession.Idle", n.Idle, &rec.Idle}, {"NewSession.Lifetime", n.Lifetime, &rec.Lifetime}} {
		if limit.value == 0 {
			continue
		}
		if err := ranges.Check(limit.name, limit.value, MinTimeout, true); err != nil {
			return rec, err
		}
		*limit.of = zeroIfOff(limit.value)
	}
	return rec, nil
}

// credentialsOf returns the Credentials of a token of secure or of insecure requests.
func (b *Bridge) credentialsOf(clientID string, cred credentials.Session, secure bool) (Credentials, error) {
	text, err := b.opener.Codec().Token(cred, secure)
	if err != nil {
		return Credentials{}, fmt.Errorf("bridge: sign a token: %w", err)
	}
	return Credentials{SessionID: cred.ID, ClientID: clientID, Token: text}, nil
}

// Open returns a snapshot of the session that the credentials open: methods that change it return
// ErrSessionClosed. The checks are those of a request that presents the token: its signature, that
// it is the session's current one, or the previous one within Options.RotateGrace, and with
// Options.StrictBinding a ClientID that isn't "". The use counts as activity. A token of
// Session-Token, or the value of a session cookie, opens its session here, too. It is not renewed
// (Options.RenewEvery): RotateCredentials does that.
//
// ErrCredentials for a token whose signature doesn't hold, or that is of another SessionID.
// ErrSessionMissing if it opens nothing: the session doesn't exist, has ended, or has another
// token; MissingReasonOf says which. ErrTokenRotated if a login has just replaced it.
// ErrSessionGone if the session ends during the call, ErrStoreUnavailable, and the cause of ctx's
// end. Credentials that open nothing are reported and counted as those of requests are:
// CredentialRejected, Stats.Refused.
func (b *Bridge) Open(ctx context.Context, c Credentials) (*Session, error) {
	o, err := b.openCredentials(ctx, c)
	if err != nil {
		return nil, err
	}
	return b.newSnapshot(*o.Record, ViaAPI)
}

// PeekCredentials is Open without effects: it is no activity of the session's user, as with Peek. A
// program that only asks whether a token is valid, or how much time is left, doesn't keep the
// session alive.
func (b *Bridge) PeekCredentials(ctx context.Context, c Credentials) (*Session, error) {
	o, err := b.openWith(ctx, c, &opening.Exchange{}, (*opening.Exchange).Peek)
	if err != nil {
		return nil, err
	}
	return b.newSnapshot(*o.Record, ViaAPI)
}

// WithCredentials runs fn on the session that the credentials open, as WithSession of a request
// does, and can't create one. Within fn, Login and Rotate return ErrNoCookies: fn may run again
// after a conflict, and would leave its caller with a token that opens nothing. Use
// LoginCredentials and RotateCredentials. A nested call on the same session with fn's context runs
// inside the outer one; on another session it is ErrNested.
//
// The errors are those of fn, of Open and of WithSession.
func (b *Bridge) WithCredentials(
	ctx context.Context, c Credentials, fn func(ctx context.Context, s *Session) error,
) error {
	o, err := b.openCredentials(ctx, c)
	if err != nil {
		return err
	}
	if s, err := b.inside(ctx, o.Record.ID); err != nil {
		return err
	} else if s != nil {
		return s.runInside(ctx, fn)
	}
	ran, err := b.withSessionID(ctx, o.Record.ID, o.Generation, &origin{via: ViaAPI}, true, fn)
	switch {
	case ran:
	case errors.Is(err, errorcodes.ErrCutOff):
		return ErrTokenRotated
	case errors.Is(err, ErrSessionMissing): // it was there a moment ago
		return ErrSessionGone
	}
	return err
}

// LoginCredentials logs the user in to the session that the credentials open, as Session.Login does
// in a request, and returns the credentials that open it from then on. It is for a guest whose
// values should stay; Create begins a session for a user. Info.Addr and UserAgent stay.
//
// As over HTTP the same login succeeds again for Options.RotateGrace, with the same result: its
// answer may have been lost. The errors are those of Open and of Session.Login, and ErrNested
// within a function of WithSession.
func (b *Bridge) LoginCredentials(ctx context.Context, c Credentials, userID string) (Credentials, error) {
	if err := logins.CheckUserID(userID); err != nil {
		return Credentials{}, err
	}
	return b.replaceCredentials(ctx, c, &gateway.Login{UserID: userID, KeepValues: b.opts.KeepValuesAtLogin})
}

// RotateCredentials gives the session a new token, as Session.Rotate does in a request: the
// previous one works until the new one is first presented, Options.RotateGrace at most. The errors
// are those of LoginCredentials.
//
// It can't be repeated: a second call with the old credentials returns ErrTokenRotated, because they
// must not lead to the new ones, which replace them. So the caller keeps the new credentials until
// their owner has used them, to send them again if that answer was lost. After ErrStoreUnavailable
// the token may have been replaced: if another call returns ErrTokenRotated, the old credentials
// still open the session for RotateGrace, and then nothing does. Begin a new session by then.
func (b *Bridge) RotateCredentials(ctx context.Context, c Credentials) (Credentials, error) {
	return b.replaceCredentials(ctx, c, nil)
}

func (b *Bridge) replaceCredentials(ctx context.Context, c Credentials, login *gateway.Login) (Credentials, error) {
	if _, err := b.inside(ctx, ""); err != nil { // the function would conflict with it, and run again
		return Credentials{}, err
	}
	var x opening.Exchange
	o, err := b.openAny(ctx, c, &x)
	if err != nil {
		return Credentials{}, err
	}
	if login != nil {
		login.Addr, login.UserAgent = b.records.Addr(o.Record.Addr), b.records.UserAgent(o.Record.UserAgent)
	}
	s, err := b.newSession(*o.Record, &origin{via: ViaAPI})
	if err != nil {
		return Credentials{}, err
	}
	defer s.seal()
	s.proof = new(opening.Proof)
	if err = b.opener.Prove(s.proof, o, &s.draft); err == nil {
		err = s.try(func() error { return s.proof.Replace(login) })
	}
	if err = cmp.Or(err, context.Cause(ctx)); err == nil {
		err = s.commit(ctx)
	}
	if err == nil && s.over() { // BeforeCommit has destroyed it
		err = ErrSessionGone
	}
	if err != nil {
		return Credentials{}, err
	}
	s.lock()
	cookie, _ := s.proof.Stored(true)
	s.unlock()
	return b.credentialsOf(s.clientID, cookie.Session, x.Presented().Secure())
}

// openCredentials opens the session that the credentials name. ErrTokenRotated if a login has
// replaced the token.
func (b *Bridge) openCredentials(ctx context.Context, c Credentials) (*opening.Opened, error) {
	o, err := b.openAny(ctx, c, &opening.Exchange{})
	if err == nil && o.Standing == opening.Replaced {
		return nil, ErrTokenRotated
	}
	return o, err
}

// openAny is openCredentials, but a token that a login has replaced opens the session, for another
// login: see opening.Proof.Locked.
func (b *Bridge) openAny(ctx context.Context, c Credentials, x *opening.Exchange) (*opening.Opened, error) {
	return b.openWith(ctx, c, x, func(x *opening.Exchange, ctx context.Context) (*opening.Opened, error) {
		return x.Open(ctx, false, nil)
	})
}

// openWith opens the session that the credentials name with Exchange.Open or Exchange.Peek.
func (b *Bridge) openWith(
	ctx context.Context, c Credentials, x *opening.Exchange,
	open func(*opening.Exchange, context.Context) (*opening.Opened, error),
) (*opening.Opened, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	rejected := CredentialRejected{Credential: CredentialToken, Via: ViaAPI}
	if credentials.IsClientID(c.ClientID) { // of any length otherwise
		rejected.ClientID = c.ClientID
	}
	if !b.opener.BeginToken(x, c.Token, c.SessionID, c.ClientID) {
		rejected.Reason = RejectedSignature
		b.rejected(ctx, rejected, opening.Rejection{})
		return nil, ErrCredentials
	}
	o, err := open(x, ctx)
	if err != nil || o.Standing != opening.None {
		return o, err
	}
	reason := b.rejected(ctx, rejected, o.Rejection)
	return nil, fmt.Errorf("%w: the credentials don't open it (%s)", newMissing(b.reasonOf(o)), reason)
}

// CookiesFor returns the session cookie and the client cookie that bring the credentials to a
// browser, with the attributes of Options: for a login that ends in a response which the Bridge
// doesn't write. They are Secure unless Options.Secure is SecureNever, which they need to work over
// plain HTTP, in development. Max-Age is Options.Lifetime, unless Options.Cookie says otherwise,
// and Options.ClientMaxAge. It doesn't read the session: after Session.SetPersistent, and for a
// session with another lifetime, change the Max-Age of the first cookie. The response must be
// private: set Cache-Control: no-store. In a handler behind Bridge.Handler use Session.Login
// instead.
//
// It doesn't ask the store whether the token opens the session, or whose it is. Pass Credentials
// that Create, LoginCredentials or RotateCredentials has returned. For those of a client call Open
// first, and take the ID and the ClientID from the Session that it returns: without StrictBinding
// Open accepts any ClientID, and the cookie of another client would begin sessions in its name.
//
// It returns nil unless SessionID, ClientID and Token are all set; if the signature of the token
// doesn't hold, or the token is of plain HTTP while the cookies are Secure; and for a SessionID that
// isn't the token's, a ClientID that is no ID of a client, or one that isn't the session's, as far
// as this process knows.
func (b *Bridge) CookiesFor(c Credentials) []*http.Cookie {
	if clientID, known := b.clients.ClientOf(c.SessionID); known && clientID != c.ClientID {
		return nil
	}
	age := zeroIfOff(b.timeouts.Load().lifetime)
	if b.opts.Cookie == CookieBrowserSession {
		age = credentials.UntilBrowserCloses
	}
	cookies, _ := b.opener.Codec().Cookies(c.Token, c.SessionID, c.ClientID, b.opts.Secure != SecureNever, age)
	return cookies
}
