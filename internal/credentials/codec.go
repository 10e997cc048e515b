package credentials

import (
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/gorilla/securecookie"

	"github.com/sessionbridge/sessionbridge/internal/uuidtext"
)

// Config says how credentials are signed, and which attributes the cookies have. Its values have
// been checked, and it isn't changed once a Codec has it.
type Config struct {
	Keys [][]byte // the first signs, all verify

	Name       string // of the session cookie, without a prefix
	ClientName string // of the client cookie

	Path        string
	Domain      string // "": this host only
	SameSite    http.SameSite
	Partitioned bool

	ClientMaxAge    time.Duration // how long a client cookie is valid
	ClientRollEvery time.Duration // the age at which a client cookie is sent again; 0: never

	EagerClient   bool     // the first page sets the client cookie
	ClearSiteData []string // what the response to an end of the session tells the browser to forget

	// TokenFrom finds the token of a client without cookies. Nil: there are no such clients.
	TokenFrom TokenFrom

	// OriginAllowed reports whether the Origin header of a request is one of this site. Nil: only
	// that of the request's own host is.
	OriginAllowed func(*http.Request) bool
}

// Codec signs and verifies the session credential and the client cookie. It is safe for concurrent
// use.
type Codec struct {
	cfg          Config
	sessionNames names
	clientNames  names
	sign         *securecookie.SecureCookie
	sessions     keyring
	clients      keyring
}

// NewCodec returns the Codec for cfg.
func NewCodec(cfg Config) *Codec {
	hostPrefix := HostPrefixAllowed(cfg.Path, cfg.Domain)
	return &Codec{
		cfg:          cfg,
		sessionNames: newNames(cfg.Name, hostPrefix),
		clientNames:  newNames(cfg.ClientName, hostPrefix),
		sign:         securecookie.New(cfg.Keys[0], nil).SetSerializer(securecookie.NopEncoder{}),
		sessions:     newKeyring(cfg.Keys, 0), // the record has the session's times, its cookie needs no age
		clients:      newKeyring(cfg.Keys, cfg.ClientMaxAge),
	}
}

// HostPrefix begins the name of a cookie that only its own host can set, over HTTPS (RFC 6265bis
// §4.1.3.2). A sibling host can't add one of that name.
const HostPrefix = "__Host-"

// HostPrefixAllowed reports whether a cookie with the path and the domain may have the HostPrefix.
func HostPrefixAllowed(path, domain string) bool { return path == "/" && domain == "" }

// names are a cookie's names for insecure and for secure requests.
type names struct{ insecure, secure string }

// newNames returns the names of a cookie: for secure requests with the HostPrefix where it is
// allowed.
func newNames(name string, hostPrefix bool) names {
	if hostPrefix && !strings.HasPrefix(name, "__") {
		return names{name, HostPrefix + name}
	}
	return names{name, name}
}

func (n *names) of(secure bool) string {
	if secure {
		return n.secure
	}
	return n.insecure
}

func (c *Codec) sessionName(secure bool) string { return c.sessionNames.of(secure) }
func (c *Codec) clientName(secure bool) string  { return c.clientNames.of(secure) }

// Lengths of the signed values, with a date of 9 to 11 digits in them. A value of another length is
// not valid and costs no signature check.
const (
	sessionValueBytes = uuidtext.Size + len(Token{})
	sessionCookieLen  = 140
	clientCookieLen   = 124
)

var errSessionID = errors.New("the session's ID is no UUID")

// sealSession returns the session credential's cookie name and its value.
func (c *Codec) sealSession(secure bool, cred Session) (name, value string, err error) {
	id, ok := uuidtext.Parse(cred.ID)
	if !ok {
		return "", "", errSessionID
	}
	raw := append(id[:], cred.Token[:]...)
	name = c.sessionName(secure)
	value, err = c.sign.Encode(name, base64.RawURLEncoding.AppendEncode(nil, raw))
	return name, value, err
}

// openedSession returns the content of a session credential whose signature holds.
func openedSession(v *signedValue) (cred Session, ok bool) {
	var raw [sessionValueBytes]byte
	if v.size != base64.RawURLEncoding.EncodedLen(len(raw)) {
		return cred, false
	}
	if _, err := base64.RawURLEncoding.Decode(raw[:], v.bytes()); err != nil {
		return cred, false
	}
	return Session{
		ID:     uuidtext.Format([uuidtext.Size]byte(raw[:])),
		Token:  Token(raw[uuidtext.Size:]),
		Issued: v.signed,
	}, true
}

// readToken returns the content of a token: the value of a session cookie, with or without its
// padding.
func (c *Codec) readToken(text string, secure bool) (cred Session, ok bool) {
	if text = strings.TrimRight(text, "="); text == "" || len(text) > maxSigned {
		return cred, false
	}
	text += "==="[:-len(text)&3]
	var v signedValue
	if !c.sessions.verify(c.sessionName(secure), text, &v) {
		return cred, false
	}
	return openedSession(&v)
}
