package bridge

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/credentials"
	"github.com/sessionbridge/sessionbridge/internal/ranges"
	"github.com/sessionbridge/sessionbridge/internal/redact"
)

// Off switches a limit off, where a zero field means its default.
const Off = -1

// MinTimeout is the smallest timeout of a session or a connection, and the smallest interval of a
// cleanup.
const MinTimeout = time.Millisecond

// Options is how a Bridge behaves. A zero field means its default; Off switches a limit off. New
// copies it.
type Options struct {
	// Keys sign the cookies: the first signs, all verify; each has at least 32 bytes. A cookie that
	// another key has signed is signed anew in the next response that opens its session and can set
	// a cookie. Bridge.SetKeys replaces keys while the Bridge runs; docs/operations.md has the
	// steps. LoadOrCreateKeys keeps keys in a file, LoadKeys reads a mounted secret, ParseKeys an
	// environment variable. Default: a random key, and a logged warning, because a restart then
	// loses all sessions.
	Keys [][]byte

	// Name is the name of the session cookie, ClientName that of the client cookie. Both are sent
	// with the prefix __Host- if that is allowed: Secure, Path /, no Domain (RFC 6265bis §4.1.3.2).
	// Defaults: sid, and Name + ".cid".
	Name, ClientName string
	// FormerNames are earlier names of the cookies, at most 7. They are read after the present
	// names. The response that opens the session of such a cookie, and can set a cookie, sets it
	// under its present name and removes it under the former one: so no other application on this
	// host may use a former name with the same keys. Default: none.
	FormerNames []CookieNames

	// GorillaName is the name under which code for gorilla/sessions reaches the Bridge's own
	// session: see Bridge.Gorilla. Every other name is a namespace within the session. Default:
	// Name.
	GorillaName string

	// IdleTimeout is the longest time that a session may go unused, Lifetime its longest age,
	// whatever the activity, counted from its creation and again from each login. The server
	// enforces both at the moment of use. Session.SetIdleTimeout and SetLifetime change them for
	// one session. Defaults: 24 h and 30 days.
	IdleTimeout, Lifetime time.Duration
	// KeepLifetimeAtLogin has a login leave the end of a session's lifetime as it is: the time as a
	// guest counts, too. After a login Info.Lifetime is what was left of it then.
	KeepLifetimeAtLogin bool

	// ClientMaxAge is how long the client cookie lasts, ClientRollEvery the age after which it is
	// sent again: at most half of ClientMaxAge; 1 ns sends it with every response, and makes all of
	// them uncacheable. Defaults: 365 days (browsers allow 400) and 24 h.
	ClientMaxAge, ClientRollEvery time.Duration
	// EagerClient issues the client cookie with the first page that a browser loads, as
	// koa-io-session does. By default it is issued when it is needed: with a stored session, at a
	// handshake, with an event stream, or when ClientIDFrom or Session.ClientID asks. With
	// EagerClient, a first page whose response is late may replace the client cookie that another
	// response has set together with a session; StrictBinding then refuses that session.
	EagerClient bool

	// Path, Domain, SameSite and Partitioned are attributes of both cookies. After a change of Path
	// or Domain a browser keeps the old cookies beside the new ones: each is tried, and
	// FormerScopes removes them. A request from another site that has no cookies because of
	// SameSite doesn't replace them. See docs/cookies.md.
	Path        string        // of the cookies; default /
	Domain      string        // of the cookies; default none: this host only
	SameSite    http.SameSite // default Lax
	Secure      SecureMode    // default SecureAuto
	Partitioned bool          // cookies of an embedded page (CHIPS); needs Secure
	// Cookie says how long a browser keeps the cookie of a session that begins from now on.
	// Session.SetPersistent changes that for one session. Default: CookiePersistent.
	Cookie CookieLife
	// FormerScopes are earlier pairs of Domain and Path, at most 7. A response that sets or removes
	// one of the cookies removes it there, so that a browser doesn't keep two. A change that adds
	// or drops the prefix __Host- is a change of the name, too: see FormerNames. Default: none.
	FormerScopes []CookieScope

	// TouchInterval is how long a session's activity may go unrecorded: it costs one store write
	// per session and interval. It is at most a tenth of the idle timeout. No session expires early
	// because of it. Default: 1 min.
	TouchInterval time.Duration
	// AutoCleanup is how often expired sessions are removed. Default: IdleTimeout/4, between 1 min
	// and 1 day. Off: never.
	AutoCleanup time.Duration
	// OptimizeAfter is the share of the sessions, up to 1, after whose end the store is to reclaim
	// their space: when a cleanup finds that at least this share, and at least 1000, have ended in
	// this process since the last time, it has the store's Optimize called in the background, which
	// may read and write all sessions. Shutdown ends a call. An error is a Failure. It needs a
	// store that is a store.Optimizer and can list sessions. Default: 0, never.
	OptimizeAfter float64
	// RotateGrace is how long the previous token still works after Session.Rotate, at most: it ends
	// when the new token is first presented. Default: 10 s. Off: not at all.
	RotateGrace time.Duration
	// StrictBinding refuses a session that comes without its client's cookie. By default that is
	// reported, and the client cookie is set to the session's client. If a request has several
	// client cookies, one that belongs to the session is enough.
	StrictBinding bool

	// OnSessionEnd says what happens to a session's connections when it ends. Default: CloseConns.
	OnSessionEnd SessionEndPolicy
	// Rebind says what happens to a client's older connections at a login, or when the client gets
	// a new session. Default: Reconnect.
	Rebind RebindPolicy

	// Timeouts sets IdleTimeout, Lifetime and RenewEvery, where these are zero, to the values of a
	// standard. Default: none.
	Timeouts TimeoutPreset
	// RenewEvery is the renewal timeout: a token that is older is rotated in the next response that
	// can set a cookie. Default: never.
	RenewEvery time.Duration

	// KeepValuesAtLogin has Session.Login keep the values of a session that belonged to another
	// user. By default they are cleared. Values of a guest, and of the user who logs in, are kept
	// in either case.
	KeepValuesAtLogin bool

	// BeforeCommit is called before changes of a session are stored, to check, complete or refuse
	// them: over HTTP and on connections, by ID, and at each save of a PerConnection. s has the
	// changes, and what the function sets, deletes or destroys counts with them; Login and Rotate
	// return ErrNoCookies. It runs under no lock but that under which a function of WithSession
	// runs, and by many goroutines at once.
	//
	// An error refuses the commit, and nothing is stored. WithSession returns an error that is
	// ErrRefused and this one; over HTTP the response becomes HTTPStatus of it: 422, unless the
	// error has a status of its own. If the function itself fails, because its database is away, it
	// returns an error that wraps ErrStoreUnavailable: then the answer is 503, with a Failure. An
	// ErrNoCookies or another mistake of the application's is 500, with a Failure. A panic in
	// WithSession is one of its function; elsewhere it is a Failure, and the commit fails with
	// ErrPanicked.
	//
	// It may be called again for one commit: with the function of WithSession after a conflict, or
	// because other goroutines have changed the Session meanwhile. It is not called for activity
	// alone, for a new token because of RenewEvery, or for an end. Changes of Session over HTTP are
	// then merged into what others have stored, which it doesn't see. A call of WithSession with
	// ctx runs on s; on another session it is ErrNested. Default: nil.
	BeforeCommit func(ctx context.Context, s *Session) error

	// ClearSiteData is sent as the Clear-Site-Data header of a response that ends its own session:
	// "cache", "cookies", "storage", "executionContexts" or "*". Browsers obey it over TLS only,
	// and "cookies" removes the client cookie, too. Default: no header.
	ClearSiteData []string

	// LastMessage returns a message for the connections of a session that ends, which is sent
	// before the close frame; nil for none. It is called once for each session, in a goroutine of
	// its own, and may call the Bridge. Calling it and sending the message take a second at most: a
	// message that is later than that isn't sent.
	LastMessage func(SessionDestroy) []byte
	// RememberEnds is how long this process remembers why sessions have ended, for MissingReason;
	// 16,384 of them at most. Default: 1 h. Off: not at all.
	RememberEnds time.Duration
	// RevalidateEvery is how often a session that has connections is looked up in the store,
	// whatever happens on them, in case it has ended without a notification. Default: 5 min. Off:
	// never.
	RevalidateEvery time.Duration

	// MaxSessionsPerUser limits the sessions that one user is logged in with (ASVS 7.1.2);
	// OnTooManySessions says what happens at a login beyond it. It needs a store that is a
	// store.UserIndex. EvictOldest is exact, also across the nodes of a store that is a
	// store.Reserver; RefuseLogin is exact within one process. Defaults: no limit, EvictOldest.
	MaxSessionsPerUser int
	OnTooManySessions  SessionLimitPolicy
	// MaxSessionsPerClient limits the sessions without a user that one client, a browser, may have.
	// When it begins another one, the oldest end, with ReasonEvicted. Such sessions pile up if a
	// script drops the session cookie and keeps the client cookie; a browser has no cookies for
	// them any more. Sessions with a user, and those with connections in this process, neither
	// count nor end. It needs a store that is a store.ClientOrder or a store.ClientIndex: with
	// another store the default has no effect, and New refuses a value. Default: 16. Off: no limit.
	MaxSessionsPerClient int
	// MaxKnownSessions limits the sessions that this process remembers having seen in use: what
	// SessionIDOf, ClientIDOf, Info.ReadsHere and Stats.Attached report, and the ends on other
	// nodes that become events. Each takes about 250 B. Beyond the limit the least recently used
	// are forgotten, but none that has connections. Nothing ends: a forgotten session that is used
	// again costs one more read of the store, and its SessionSet has IsInit. Default: 100,000. Off:
	// no limit.
	MaxKnownSessions int
	// MaxConnsPerSession limits the open connections of one session in this process,
	// MaxConnsPerAddr those from one address; an IPv6 /64 counts as one address. OnTooManyConns
	// says what happens to a connection beyond a limit. Defaults: no limits, RefuseConn.
	MaxConnsPerSession, MaxConnsPerAddr int
	OnTooManyConns                      ConnLimitPolicy

	// MaxKeptMessages and MaxKeptBytes limit the messages of NotifyKept that are kept for one
	// session or user at a time; the oldest give way. A client that comes back for one of these is
	// told that something is gone. Defaults: 256, 256 KiB.
	MaxKeptMessages, MaxKeptBytes int
	// MaxKeptMemory limits the memory for all of them, if they are kept in this process because the
	// store is no store.Keeper: those of sessions and users that were not used for longest give way.
	// Default: 64 MiB.
	MaxKeptMemory int

	// PresenceGrace is how long a user may have no connection without being offline for OnPresence, so
	// that a page can be loaded again. Default: 5 s. Off: no time.
	PresenceGrace time.Duration

	// TokenFrom returns the session token of a client without cookies: TokenFromHeader,
	// TokenFromProtocol, or a function of the application's. ok reports that the client uses no
	// cookies, even if it has no token yet: then no cookie is read or set. A token for the client
	// is sent in the response header Session-Token; an empty one tells it to forget its token.
	// Default: cookies only.
	TokenFrom func(r *http.Request) (token string, ok bool)
	// Import returns the session of another library that a request presents, nil for none, so that
	// users stay logged in when an application moves to this one: see package importer, which has
	// it for scs and gorilla/sessions. It is called, by many goroutines at once, when a request is
	// about to begin a new session because its cookies open none: then the session becomes one of
	// the Bridge's, once. Peek and MissingReason call it as well; they import nothing, but see what
	// was imported. It is also called when a request ends its own session: the session that it
	// returns then opens nothing any more, and is not imported. If the request has several cookies
	// of one name, it is called then for each of them, as the first one. Not for clients without
	// cookies, and not for requests of other sites, to which a browser may not have sent them. It
	// needs a store that is a store.Namespacer. Default: nil.
	Import func(r *http.Request) *Import
	// DeviceBound has browsers that can (Device Bound Session Credentials, a W3C draft) bind a session
	// to a key in their device's hardware at a login. The browser then proves the key every few
	// minutes, by itself, and gets a short-lived cookie for it. Without that cookie a bound session is
	// not opened, over HTTP or at a handshake, nor by its token in Credentials: there is no session,
	// and MissingReason is MissingDevice. If the proof is overdue the session's connections are closed
	// with CodeReconnect. Other browsers go on as before. The handler that Bridge.Handler returns must
	// get the requests for DeviceBound.Path. See docs/device-bound.md. Default: nil, off.
	DeviceBound *DeviceBound
	// TicketLifetime is how long a ticket can be redeemed. Default: 30 s.
	TicketLifetime time.Duration

	// MaxHandshakes limits the handshakes that are under way at once (one takes about 25 KB),
	// HandshakesPerSecond those that begin, in bursts of HandshakeBurst. One beyond a limit is
	// answered with 503 and a Retry-After that spreads the clients' return. Defaults: 1024 (Off: no
	// limit); no limit; a burst of HandshakesPerSecond.
	MaxHandshakes       int
	HandshakesPerSecond float64
	HandshakeBurst      int
	// HandshakesPerAddr and HandshakesPerSession limit the rate of handshakes, and of calls of Attach,
	// from one address and with one session. One beyond is answered with 429 and a Retry-After. A
	// handshake of a page whose origin is refused doesn't count. Defaults: no limits.
	HandshakesPerAddr, HandshakesPerSession Rate
	// MessagesPerAddr and MessagesPerSession limit the rate of the clients' messages on all
	// connections from one address, and on all of one session: those that Read returns, and those of
	// other libraries that Link.Received counts. One beyond closes its connection with CodePolicy.
	// Defaults: no limits.
	MessagesPerAddr, MessagesPerSession Rate
	// NewSessionsPerAddr limits the rate of sessions without a user that requests from one address
	// store: a program that drops all cookies begins one with each request. One beyond fails its
	// commit with ErrRateLimited, and the response becomes a 429 with a Retry-After. A login is
	// never refused. Default: no limit.
	//
	// These five limits are for one process. They are for addresses of clients, so behind a proxy
	// they need TrustedProxies; an IPv6 /64 counts as one address. Thousands of people can have one
	// address, behind the NAT of a mobile network or a university. Each limit remembers 65,536
	// addresses or sessions, in 16 MB at most; beyond that it forgets those that have been idle, then
	// any.
	NewSessionsPerAddr Rate
	// DrainOver is the time over which Shutdown spreads the closing of connections, so that their
	// clients don't all reconnect at once. Shutdown's context may end it earlier. Default: all at
	// once.
	DrainOver time.Duration

	// MaxValueBytes limits the encoded values of one session. Default: 64 KiB.
	MaxValueBytes int
	// StoreTimeout limits each call to the store. It also limits how long the changes of Session
	// wait for a function of WithSession that has exclusive access, after it has lost two
	// conflicts. Default: 5 s.
	StoreTimeout time.Duration

	// CachedReads lets WithSession on connections begin with what a store that is a
	// store.CachedGetter has in memory, as RedisStore does, instead of reading the store each time.
	// That is at least as new as anything that this process has stored or read. Changes of other
	// processes, including a login or an end, may be missing until their notification arrives,
	// about a millisecond. A change is stored by compare-and-set as always: no update is lost and
	// no session is resurrected. Default: read the store each time.
	CachedReads bool

	// DangerouslyInsecure allows what New, or the Bridge at a handshake, refuses otherwise because it
	// exposes credentials: SecureNever, which sends the cookies without TLS as well; an origin
	// pattern that matches every host, with which any page opens connections as its visitor; and
	// WebSocket handshakes over plain HTTP, but for those to this machine: localhost, *.localhost
	// and loopback addresses. Behind a proxy that ends TLS none of it is needed: set TrustedProxies,
	// or SecureAlways. New logs a warning. Default: false.
	DangerouslyInsecure bool

	// OriginPatterns are the origins whose pages may open connections, besides those of the
	// server's own host: a host ("app.example.com"), or scheme://host, with wildcards as for
	// path.Match ("*.example.com"). Without a port the scheme's default port is meant;
	// "localhost:*" allows any. Without a scheme any is allowed, but not http if the server is on
	// https. "null" and "file://" are allowed only by exactly these entries. A pattern that could
	// never match is an error of New. Default: none.
	OriginPatterns []string
	// CheckOrigin may allow a connection whose Origin is neither the server's own nor in
	// OriginPatterns: for hosts that are known only at run time. It is also asked about a stream
	// (Attach) that a page of another origin embeds, for which browsers send no Origin. It may be
	// called more than once for a request, and by many goroutines at once. Default: nil, which
	// allows none.
	CheckOrigin func(r *http.Request) bool
	// TrustedProxies are the peers whose X-Forwarded-For, X-Forwarded-Proto and Forwarded (RFC
	// 7239) headers are believed: addresses, networks (CIDR), or "unix" for all peers of a unix
	// socket. The client's address is the nearest one that isn't trusted. Default: none.
	TrustedProxies []string
	// ProxyHeaders says which headers of TrustedProxies count, for proxies that pass on one kind as
	// the client sent it. Default: AnyProxyHeaders.
	ProxyHeaders ProxyHeaderPolicy

	// RecordAddr is how much of a client's address is recorded in sessions, and shown by ConnInfo,
	// events and log lines; RecordUserAgent likewise for its User-Agent header, RecordFull or
	// RecordOff. Full addresses of open connections stay in memory, for MaxConnsPerAddr and
	// ConnFilter. Sessions that are stored already keep what they have until the next login.
	// Defaults: RecordFull.
	RecordAddr, RecordUserAgent RecordPolicy

	// Logger receives failures (Error, Warn), settings that an operator may want to change (Warn),
	// and, without Audit, the life of sessions and errors of clients (Debug). Sessions are named by a keyed hash of
	// their IDs; tokens, cookies and values are never logged. A recovered panic is always reported:
	// to slog.Default() if Logger discards errors.
	//
	// It is called under no lock. A Handler that hangs delays the goroutine that logs, and the
	// lines of the Bridge's own goroutines, of which 1024 wait before some are dropped. Default:
	// slog.Default(), as it is when a line is logged; slog.New(slog.DiscardHandler) logs nothing
	// but panics.
	Logger *slog.Logger
	// Audit receives the audit log: a line for each event in the life of a session, and for what was
	// refused, as docs/security.md lists them, at Info and Warn. Sessions, clients and users are named
	// by keyed hashes, which Bridge.LogHash returns; there is no token, cookie or value. It is called
	// as Logger is. Default: nil; then the lines go to Logger, those of Info at Debug.
	Audit *slog.Logger
	// ErrorHandler writes the answer to a request that the Bridge refuses or can't complete: a
	// handshake, or a response whose session could not be stored. HTTPStatus(err) is the status;
	// err.Error() is meant for logs, not for clients. w already has the headers that the answer
	// needs (cookies, Cache-Control: no-store, Retry-After), the handler's headers for CORS, and
	// those of middlewares outside of Handler. The answer is sent when the function has returned.
	//
	// Without a WriteHeader the status is HTTPStatus(err), as it is for an invalid status, 304, and
	// one below 300: such an answer must be no success, and no cache may keep it. If the function
	// panics or writes nothing, the client gets the default answer. It is called under no lock, and
	// by several goroutines at once. Default: WriteError.
	ErrorHandler func(w http.ResponseWriter, r *http.Request, err error)
}

// DeviceBound is how sessions are bound to devices: see Options.DeviceBound. The zero DeviceBound
// has every default.
type DeviceBound struct {
	// Path is where the Bridge answers the browser's registrations and refreshes: at Path +
	// "/register" and Path + "/refresh". It is below Options.Path, and each Bridge of a host needs
	// its own. Default: Options.Path + "session-device".
	Path string
	// Life is how long the bound cookie is valid, and so how long a copy of all cookies is: 3 minutes
	// to 24 h. Browsers refresh the cookie with the first request of its last two minutes, or later.
	// Default: 10 minutes.
	Life time.Duration
	// RS256 allows RSA keys besides those of P-256 (ES256), which browsers prefer.
	RS256 bool
}

// CookieNames are values of Options.Name and Options.ClientName. An empty Name is the present one,
// an empty ClientName is Name + ".cid".
type CookieNames struct{ Name, ClientName string }

// CookieScope is a pair of values of Options.Domain and Options.Path. An empty Path is "/".
type CookieScope struct{ Domain, Path string }

// Import is a session of another library that a request presents: see Options.Import.
type Import struct {
	// Key is the secret that names the session in that library, such as the value of its cookie. It
	// should be the same in each request until that library's session ends: under another key the
	// session can be imported once more, unless the end of a request's own session has excluded
	// that, too. Requests with one key get one session here, also at the same time, on several
	// nodes, and after a response that was lost. Once that session has ended, or a login or a
	// rotation has replaced its token, the key opens nothing, and is not imported again for 400
	// days.
	Key string
	// Load returns the session's user, "" for a guest, and its values; ok is false if it doesn't
	// exist any more. Requests that come at the same time may all call it. After an error the
	// request gets 503. It gets 500 after a *ValueError, for a value or a key that can't be imported,
	// such as a value that JSON can't encode, and for an invalid user ID. Neither loses the session:
	// the next request tries again.
	Load func(ctx context.Context) (userID string, values map[string]any, ok bool, err error)
	// LoggedIn is when the user has logged in, for RequireAuthAge and Session.LoggedIn; Load may set
	// it. An import is no login: without this time, and with one in the future, RequireAuthAge
	// returns ErrAuthAge until the user logs in here. Default: not known.
	LoggedIn time.Time
	// Expires is when the session would have ended in that library; Load may set it. It ends then
	// here as well, unless IdleTimeout or Lifetime ends it earlier: an import prolongs nothing. From
	// the next login on it has the Bridge's Lifetime, which KeepLifetimeAtLogin prevents; SetLifetime
	// replaces the limit, too. Default: not known, so that the Lifetime begins with the import.
	Expires time.Time
	// Done is called when the session has been stored here, for example to destroy the other one,
	// which isn't needed any more. An error is logged. Default: nil, which leaves it alone.
	Done func(ctx context.Context) error
}

// Format implements fmt.Formatter. It prints no key.
func (in Import) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, "bridge.Import") }

// LogValue implements slog.LogValuer.
func (in Import) LogValue() slog.Value { return slog.StringValue("bridge.Import") }

// SecureMode says when cookies carry the Secure attribute.
type SecureMode int

// The modes of Options.Secure.
const (
	SecureAuto   SecureMode = iota // when the request came over TLS, or a trusted proxy says so
	SecureAlways                   // always: TLS ends in front of this process
	SecureNever                    // never: for development, with DangerouslyInsecure
)

// CookieLife says how long a browser keeps the session cookie. It has no effect on the timeouts of
// the session, which the server enforces, nor on the client cookie.
type CookieLife int

// The lives of Options.Cookie.
const (
	CookiePersistent CookieLife = iota // for the session's lifetime: the cookie has a Max-Age
	// CookieBrowserSession: until the browser is closed. One that restores its windows keeps it.
	CookieBrowserSession
)

// ProxyHeaderPolicy says which headers of trusted proxies count.
type ProxyHeaderPolicy int

// The policies of Options.ProxyHeaders.
const (
	// AnyProxyHeaders accepts both kinds, and neither if they contradict each other: one of them
	// may be the client's own.
	AnyProxyHeaders ProxyHeaderPolicy = iota
	OnlyXForwarded                    // X-Forwarded-For and X-Forwarded-Proto
	OnlyForwarded                     // Forwarded (RFC 7239)
)

// RecordPolicy says how much of a client's address or User-Agent header is recorded.
type RecordPolicy int

// The policies of Options.RecordAddr and RecordUserAgent.
const (
	RecordFull    RecordPolicy = iota // the whole, of a User-Agent header 256 bytes at most
	RecordOff                         // nothing
	RecordNetwork                     // of an IPv4 address the /24, of an IPv6 address the /48: "192.0.2.0/24"
)

// SessionEndPolicy says what happens to the connections of a session that ends.
type SessionEndPolicy int

// The policies of Options.OnSessionEnd.
const (
	CloseConns SessionEndPolicy = iota // they are closed, with a code that says why
	KeepConns                          // they stay, without a session: onMissing applies
)

// RebindPolicy says what happens to a client's older connections at a login, or when the client
// gets a new session.
type RebindPolicy int

// The policies of Options.Rebind.
const (
	// Reconnect cuts them off from the session at once and closes them with CodeReconnect when the
	// response has gone, 5 s later at most, to come back with the new cookies.
	Reconnect RebindPolicy = iota
	// Follow keeps them and lets them work on whatever session the client has: the client cookie
	// alone then opens a session, for a year, to whoever has a copy of it. For trusted networks.
	Follow
)

// SessionLimitPolicy says what happens at a login by a user who has Options.MaxSessionsPerUser
// sessions.
type SessionLimitPolicy int

// The policies of Options.OnTooManySessions.
const (
	// EvictOldest ends the session that has been idle for longest, with ReasonEvicted; its
	// connections are closed with CodeEvicted.
	EvictOldest SessionLimitPolicy = iota
	RefuseLogin                    // the login's commit fails with ErrTooManySessions
)

// ConnLimitPolicy says what happens to a connection beyond Options.MaxConnsPerSession or
// MaxConnsPerAddr.
type ConnLimitPolicy int

// The policies of Options.OnTooManyConns.
const (
	// RefuseConn closes the new connection with CodePolicy as soon as it is open. One too many from
	// an address is answered with 429 instead.
	RefuseConn      ConnLimitPolicy = iota
	EvictOldestConn                 // the oldest one is closed with CodePolicy
)

// TimeoutPreset names the timeouts of a standard.
type TimeoutPreset int

// The presets of Options.Timeouts: the longest silence, lifetime, renewal. IdleTimeout is made less
// than the silence by what TouchInterval may add to it.
const (
	TimeoutsDefault       TimeoutPreset = iota // those of Options: 24 h, 30 days, never
	TimeoutsOWASPHighRisk                      // 5 min, 4 h, 15 min: OWASP Session Management cheat sheet, high value
	TimeoutsOWASPLowRisk                       // 30 min, 8 h, 1 h: likewise, low risk
	TimeoutsNISTAAL1                           // no idle timeout, 30 days, 1 day: NIST SP 800-63B-4 §2.1.3
	TimeoutsNISTAAL2                           // 1 h, 24 h, 1 h: §2.2.3
	TimeoutsNISTAAL3                           // 15 min, 12 h, 15 min: §2.3.3
)

// SessionTokenHeader is the response header that brings a client without cookies its session token.
// An empty value tells the client to forget the one that it has.
const SessionTokenHeader = credentials.TokenHeader

// Subprotocol, "sessionbridge", is what a client offers together with a token or a ticket. The
// server answers with it if it speaks none of the others, because browsers fail a handshake if none
// of their offers is accepted.
const Subprotocol = credentials.Subprotocol

const (
	day        = 24 * time.Hour
	maxTimeout = ranges.Most
)

// bad returns an error that names the field.
func bad(field, format string, args ...any) error {
	return fmt.Errorf("bridge: Options."+field+": "+format, args...)
}

// zeroIfOff returns 0 for Off, as records have it.
func zeroIfOff(d time.Duration) time.Duration {
	if d == Off {
		return 0
	}
	return d
}

// Format implements fmt.Formatter: all fields are printed, but of Keys only how many there are.
func (o Options) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, o.redacted()) }

// LogValue implements slog.LogValuer.
func (o Options) LogValue() slog.Value { return slog.StringValue(o.redacted()) }

func (o Options) redacted() string { return redact.Struct("bridge.Options", o, "Keys") }
