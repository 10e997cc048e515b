package credentials

import (
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/uuidtext"
)

// Config is how credentials are signed, and the attributes of the cookies. Its values have been
// checked, and don't change once a Codec has them.
type Config struct {
	Keys [][]byte // the first signs, all verify

	Name       string // of the session cookie, without a prefix
	ClientName string // of the client cookie
	DeviceName string // of the cookie that proves a device, which this package only removes; "": there is none

	Path        string
	Domain      string // "": this host only
	Former      Former // where browsers may still have the cookies
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
	cfg     Config
	session place
	client  place
	device  slot
	keys    atomic.Pointer[keyset]
}

// keyset is what signs and verifies with the keys of one time.
type keyset struct {
	sessions keyring
	clients  keyring
}

// NewCodec returns the Codec for cfg.
func NewCodec(cfg Config) *Codec {
	c := &Codec{
		cfg:     cfg,
		session: newPlace(&cfg, Names.session),
		client:  newPlace(&cfg, Names.client),
		device:  newSlot(cfg.DeviceName, Scope{cfg.Domain, cfg.Path}),
	}
	c.SetKeys(cfg.Keys)
	return c
}

// SetKeys replaces the keys, as Config.Keys has them.
func (c *Codec) SetKeys(keys [][]byte) {
	c.keys.Store(&keyset{
		sessions: newKeyring(keys, 0), // the record has the session's times, its cookie needs no age
		clients:  newKeyring(keys, c.cfg.ClientMaxAge),
	})
}

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
	var raw [sessionValueBytes]byte
	copy(raw[copy(raw[:], id[:]):], cred.Token[:])
	var text [maxSignedValue]byte
	name = c.session.of(secure)
	return name, c.keys.Load().sessions.sign(name, base64.RawURLEncoding.AppendEncode(text[:0], raw[:])), nil
}

// openedSession returns the content of a session credential with a valid signature.
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
		Signed: v.signed,
		Stale:  v.stale,
	}, true
}

// readToken returns the content of a token: the value of a session cookie, with or without its
// padding.
func (c *Codec) readToken(text string, secure bool) (cred Session, ok bool) {
	if len(text) > maxSigned {
		return cred, false
	}
	if text = padded(text); text == "" {
		return cred, false
	}
	var v signedValue
	sessions := c.keys.Load().sessions
	for i, name := range c.session.read(secure) {
		if sessions.verify(name, text, &v) {
			cred, ok = openedSession(&v)
			cred.Stale = cred.Stale || i > 0
			return cred, ok
		}
	}
	return cred, false
}

// padded returns a token with its padding: as the value of the cookie.
func padded(text string) string {
	text = strings.TrimRight(text, "=")
	return text + "==="[:-len(text)&3]
}
