package bridge

import (
	"log/slog"
	"net/http"
	"time"
)

// Off switches a limit off, where a zero field means its default.
const Off = -1

// Options is how a Bridge behaves. A zero field means its default; Off switches a limit off. New copies it.
type Options struct {
	// Keys sign the cookies: the first signs, all verify, each has at least 32 bytes. To replace a key put the new one first
	// and keep the old one for as long as its cookies are to be valid. Default: a random key and a logged warning, as every session is
	// then lost at a restart. LoadOrCreateKeys keeps keys in a file, LoadKeys reads a mounted secret, ParseKeys an environment variable.
	Keys [][]byte

	// Name is the name of the session cookie, ClientName that of the client cookie. Where they may have it (Secure, Path /, no
	// Domain) both go with the prefix __Host- (RFC 6265bis §4.1.3.2). Defaults: sid, and Name + ".cid".
	Name, ClientName string

	// GorillaName is the name under which code written against gorilla/sessions means the Bridge's own session, with its values, its login and its end; every other
	// name is a namespace within it: see Bridge.Gorilla. Default: Name, as gorilla/sessions uses the name for its cookie.
	GorillaName string

	// IdleTimeout is the longest silence of a session, Lifetime its longest age, whatever the activity. The
	// server enforces both at the moment of use. Defaults: 24 h and 30 days. Session.SetIdleTimeout and SetLifetime change them for one session.
	IdleTimeout, Lifetime time.Duration

	// ClientMaxAge is how long the client cookie lasts, ClientRollEvery after how long it is sent again. Defaults: 365 days (browsers
	// allow 400) and 24 h, at most half of ClientMaxAge; 1 ns sends it with every response, which makes all of them uncacheable.
	ClientMaxAge, ClientRollEvery time.Duration
	// EagerClient issues the client cookie with the first page that a browser loads, as koa-io-session does. By default it is issued when it is
	// needed: with a session that is stored, at a handshake, with an event stream, or when ClientIDFrom or Session.ClientID asks. With EagerClient a first page whose response comes late
	// may replace the client cookie that another response has set together with a session; with StrictBinding that session is then refused.
	EagerClient bool

	// Path, Domain, SameSite and Partitioned are attributes of both cookies. A browser keeps the cookies of an earlier Path or Domain beside the new ones: each is
	// tried. A request from another site that has no cookies because of SameSite doesn't replace them. See docs/http.md.
	Path        string        // of the cookies; default /
	Domain      string        // of the cookies; default none: this host only
	SameSite    http.SameSite // default Lax
	Secure      SecureMode    // default SecureAuto
	Partitioned bool          // cookies of an embedded page (CHIPS); needs Secure

	// TouchInterval is for how long a session's activity may go unrecorded: one store write per session and interval. It is never more than a tenth of
	// the idle timeout, and no session expires early because of it. Default: 1 min.
	TouchInterval time.Duration
	// AutoCleanup is how often expired sessions are removed. Default: IdleTimeout/4, between 1 min and 1 day. Off: never.
	AutoCleanup time.Duration
	// RotateGrace is how long after Session.Rotate the previous token still works, at most: until the new one is first presented. Default: 10 s. Off: not
	// at all.
	RotateGrace time.Duration
	// StrictBinding refuses a session that comes without its client's cookie: with another client's, or none. By default that is reported, and the client cookie
	// is set to the session's client. Of several client cookies any may be the session's.
	StrictBinding bool

	// OnSessionEnd says what becomes of a session's connections. Default: CloseConns.
	OnSessionEnd SessionEndPolicy
	// Rebind says what becomes of a client's older connections at a login, or when it gets a new session. Default: Reconnect.
	Rebind RebindPolicy

	// Timeouts presets IdleTimeout, Lifetime and RenewEvery, where these are zero, with what a standard asks for. Default: none.
	Timeouts TimeoutPreset
	// RenewEvery is the renewal timeout: a token that is older is rotated in the next response that can set a cookie. Default: never.
	RenewEvery time.Duration

	// KeepValuesAtLogin has Session.Login keep the values of a session that is another user's. By
	// default they are cleared; a guest's, and those of the user who logs in, stay in either case.
	KeepValuesAtLogin bool

	// ClearSiteData is what the response to a logout, or to another end of its own session, tells the browser to forget in a Clear-Site-Data header: "cache", "cookies", "storage", "executionContexts" or "*". Browsers
	// heed it over TLS only, and "cookies" takes the client cookie, too. Default: nothing, no header.
	ClearSiteData []string

	// LastMessage, if it is set, is asked when a session ends for a message to its connections, which they are sent before the close frame; all of that takes a second at most.
	// nil: none. It is called once for each session, in a goroutine of its own, and may call the Bridge; what it says too late isn't sent.
	LastMessage func(SessionDestroy) []byte
	// RevalidateEvery is how often a session that has connections is looked up in the store, whether or not anything happens on them, in case it has ended
	// without a word. Default: 5 min. Off: never.
	RevalidateEvery time.Duration

	// MaxSessionsPerUser limits the sessions that one user is logged in with (ASVS 7.1.2), OnTooManySessions says what becomes of a login beyond it. It needs a store that is a
	// store.UserIndex; EvictOldest is exact, also across the nodes of a store that is a store.Reserver; RefuseLogin is exact within one process. Defaults: no limit, EvictOldest.
	MaxSessionsPerUser int
	OnTooManySessions  SessionLimitPolicy
	// MaxSessionsPerClient limits the sessions without a user that one client, a browser, may have: of more than that those that began first end, with ReasonEvicted, when another begins. The browser
	// has forgotten their cookies long ago; what is left of them is the work of a script that drops its session cookie and keeps the client cookie. Sessions that somebody is logged in with don't count, and
	// don't end for it, nor do those that have connections in this process. It needs a store that is a store.ClientOrder or a store.ClientIndex, and is without effect with others unless it is set, which New refuses then. Default: 16. Off: no limit.
	MaxSessionsPerClient int
	// MaxKnownSessions limits the sessions that this process remembers having seen in use, some 250 B each: what SessionIDOf, ClientIDOf, Info.Reads and Stats.Attached tell of, and what it tells others of
	// when they end elsewhere. Beyond it those go that haven't been used for longest, but none that has connections; one that is used again costs one more look at the store, and its SessionSet has IsInit. Nothing
	// ends for it. Default: 100,000. Off: no limit.
	MaxKnownSessions int
	// MaxConnsPerSession limits the open connections of one session, MaxConnsPerAddr those from one address, in this process, an IPv6 /64 being one; OnTooManyConns says what
	// becomes of a connection beyond it. Defaults: no limits, RefuseConn.
	MaxConnsPerSession, MaxConnsPerAddr int
	OnTooManyConns                      ConnLimitPolicy

	// TokenFrom finds the session token of a client without cookies: TokenFromHeader, TokenFromProtocol, or a function of yours. ok says that the client does without cookies, also when it has no token yet:
	// then no cookie is read or set for it, and a token that it is to keep comes in the response's header Session-Token, which is empty for one that it is to forget. Default: cookies only.
	TokenFrom func(r *http.Request) (token string, ok bool)
	// TicketLifetime is how long a ticket can be redeemed. Default: 30 s.
	TicketLifetime time.Duration

	// MaxHandshakes limits how many handshakes are under way at once, HandshakesPerSecond how many may begin, with as many at a time as HandshakeBurst says. One beyond is answered with 503
	// and a Retry-After that spreads those who come back. A handshake under way takes some 25 KB. Defaults: 1024 (Off: no limit); no limit; a burst of HandshakesPerSecond.
	MaxHandshakes       int
	HandshakesPerSecond float64
	HandshakeBurst      int
	// DrainOver is over how long a Shutdown spreads the closing of connections, so that their clients don't all come back at once. Its context may end it earlier. Default: all at once.
	DrainOver time.Duration

	// MaxValueBytes limits the encoded values of one session. Default: 64 KiB.
	MaxValueBytes int
	// StoreTimeout limits each call to the store, and for how long the changes of Session wait for functions of WithSession that have lost to such changes twice and so
	// have the session to themselves. Default: 5 s.
	StoreTimeout time.Duration

	// CachedReads lets WithSession on connections begin with what a store that is a store.CachedGetter has in memory, as RedisStore does, instead of asking the store each time. What it begins with is at
	// least as new as whatever this process has stored or read; what other processes have stored, a login or the session's end included, may be missing for as long as the news takes to arrive, a millisecond or so. What is changed is stored as ever:
	// nothing is lost or brought back. Default: each call asks the store.
	CachedReads bool

	// OriginPatterns are the origins whose pages may open connections, besides those of the
	// server's own host: a host ("app.example.com"), or scheme://host, with wildcards as for
	// path.Match ("*.example.com"). Without a port it is the scheme's default; "localhost:*" is
	// any. Without a scheme it is any, but not http where the server is on https. "null" and
	// "file://" are allowed only by these very entries. A pattern that could never match is an
	// error of New. Default: none.
	OriginPatterns []string
	// CheckOrigin is asked about a connection whose Origin is neither the server's own nor in
	// OriginPatterns, and may allow it: for hosts that are known at run time only. It may be called
	// more than once for a request, by many goroutines at once. Default: nil, which allows none.
	CheckOrigin func(r *http.Request) bool
	// TrustedProxies are the peers that are believed when they say for whom they ask, in
	// X-Forwarded-For and X-Forwarded-Proto, or in Forwarded (RFC 7239): addresses, networks
	// (CIDR), or "unix" for whoever connects to a unix socket. The client's address is the nearest
	// one that is not trusted. Default: none.
	TrustedProxies []string
	// ProxyHeaders says which headers of TrustedProxies count, for proxies that pass on one kind of
	// them as the client sent it. Default: AnyProxyHeaders.
	ProxyHeaders ProxyHeaderPolicy

	// Logger gets failures (Error, Warn), what an operator may want to change (Warn), and the life
	// of sessions and what clients cause (Debug), under a keyed hash of the sessions' IDs; never a
	// token, a cookie or a value. A recovered panic is always reported: to slog.Default() if Logger
	// discards errors. Default: slog.Default(), as it is when a line is logged;
	// slog.New(slog.DiscardHandler) logs nothing but panics.
	// It is called under no lock. A Handler that hangs delays the goroutine that logs, and the lines
	// of the Bridge's own goroutines, of which 1024 wait before some are dropped.
	Logger *slog.Logger
	// ErrorHandler composes the answer to each request that the Bridge refuses or can't complete:
	// handshakes, and responses in whose place the client is told that the session could not be
	// stored. It tells err to the client: HTTPStatus has the status, err.Error() is for logs. w has
	// the headers that the answer needs already (cookies, Cache-Control: no-store, Retry-After),
	// those for CORS that the handler has set, and those of middlewares outside of Handler; what is
	// written to w is sent when the function has returned.
	//
	// Without a WriteHeader the status is HTTPStatus(err); so it is for a status under 300, 304 and
	// invalid ones: such an answer is never a success, nor is it kept by a cache. If the function
	// panics or writes nothing, the client gets the default answer. It is called under no lock,
	// from several goroutines at once. Default: WriteError.
	ErrorHandler func(w http.ResponseWriter, r *http.Request, err error)
}

// SecureMode says when cookies carry the Secure attribute.
type SecureMode int

// The modes of Options.Secure.
const (
	SecureAuto   SecureMode = iota // when the request came over TLS, or a trusted proxy says so
	SecureAlways                   // always: TLS ends in front of this process
	SecureNever                    // never: for development
)

// ProxyHeaderPolicy says which headers of trusted proxies count.
type ProxyHeaderPolicy int

// The policies of Options.ProxyHeaders.
const (
	AnyProxyHeaders ProxyHeaderPolicy = iota // all; none where X-Forwarded-* and Forwarded contradict each other, as one of them may be the client's own
	OnlyXForwarded                           // X-Forwarded-For and X-Forwarded-Proto
	OnlyForwarded                            // Forwarded (RFC 7239)
)

// SessionEndPolicy says what becomes of the connections of a session that ends.
type SessionEndPolicy int

// The policies of Options.OnSessionEnd.
const (
	CloseConns SessionEndPolicy = iota // they are closed, with a code that says why
	KeepConns                          // they stay, without a session: onMissing applies
)

// RebindPolicy says what becomes of a client's older connections at a login, or when it gets a new session.
type RebindPolicy int

// The policies of Options.Rebind.
const (
	// Reconnect cuts them off from the session at once and closes them with CodeReconnect when the response has gone, 5 s later at most, to come back with the new
	// cookies.
	Reconnect RebindPolicy = iota
	// Follow keeps them and lets them work on whatever session the client has: the client cookie alone then opens a session, for a
	// year, to whoever has a copy of it. For trusted networks.
	Follow
)

// SessionLimitPolicy says what becomes of a login by a user who has Options.MaxSessionsPerUser sessions.
type SessionLimitPolicy int

// The policies of Options.OnTooManySessions.
const (
	EvictOldest SessionLimitPolicy = iota // the session that has been silent for longest ends, with ReasonEvicted; its connections are closed with CodeEvicted
	RefuseLogin                           // the login's commit fails with ErrTooManySessions
)

// ConnLimitPolicy says what becomes of a connection beyond Options.MaxConnsPerSession or MaxConnsPerAddr.
type ConnLimitPolicy int

// The policies of Options.OnTooManyConns.
const (
	RefuseConn      ConnLimitPolicy = iota // it is closed with CodePolicy as soon as it is open; one too many from an address is answered with 429
	EvictOldestConn                        // the oldest one is closed with CodePolicy
)

// TimeoutPreset names the timeouts of a standard.
type TimeoutPreset int

// The presets of Options.Timeouts: the longest silence, lifetime, renewal. IdleTimeout is made less than the silence by what TouchInterval may add to it.
const (
	TimeoutsDefault       TimeoutPreset = iota // those of Options: 24 h, 30 days, never
	TimeoutsOWASPHighRisk                      // 5 min, 4 h, 15 min: OWASP Session Management cheat sheet, high-value applications
	TimeoutsOWASPLowRisk                       // 30 min, 8 h, 1 h: likewise, low-risk ones
	TimeoutsNISTAAL1                           // no idle timeout, 30 days, 1 day: NIST SP 800-63B-4 §2.1.3
	TimeoutsNISTAAL2                           // 1 h, 24 h, 1 h: §2.2.3
	TimeoutsNISTAAL3                           // 15 min, 12 h, 15 min: §2.3.3
)
