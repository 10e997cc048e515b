package bridge

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"math"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/gorilla/securecookie"

	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/store"
)

const (
	hostPrefix = "__Host-"
	// maxCookies is how many cookies of one name are tried: a subdomain can add its own to ours (cookie tossing).
	maxCookies = 8
	// maxCookieAge is what browsers keep a cookie for at most (RFC 6265bis §5.5).
	maxCookieAge = 400 * day
)

// untilBrowserEnds is the age of a cookie that the browser forgets when its own session ends, as far as it does that: many restore it.
const untilBrowserEnds = time.Duration(math.MinInt64)

// cookieAge is how long the browser is to keep the cookie of the session that rec is of.
func cookieAge(rec *store.Record) time.Duration {
	if gateway.EndsWithBrowser(rec.Data) {
		return untilBrowserEnds
	}
	return rec.Lifetime
}

// token is the secret in a session cookie (ASVS 7.2.3: 128 bits). It has no method that prints it.
type token [16]byte

func newToken() (t token) {
	_, _ = rand.Read(t[:])
	return t
}

func (t token) hash() store.TokenHash { return sha256.Sum256(t[:]) }

// credentials are what a session cookie says: nothing of it is true until the token has been checked against the stored hash.
type credentials struct {
	id     string // "" when no session cookie verified
	token  token
	issued time.Time // when it was signed, to the second
}

// cookies signs, verifies and sets the two cookies.
type cookies struct {
	opts            *settings
	signSession     *securecookie.SecureCookie
	signClient      *securecookie.SecureCookie
	sessionVerifier []*verifier // one for each key
	clientVerifier  []*verifier
}

func newCookies(opts *settings) *cookies {
	c := &cookies{
		opts:        opts,
		signSession: securecookie.New(opts.Keys[0], nil).SetSerializer(securecookie.NopEncoder{}),
		signClient:  securecookie.New(opts.Keys[0], nil).SetSerializer(securecookie.NopEncoder{}),
	}
	for _, key := range opts.Keys {
		c.sessionVerifier = append(c.sessionVerifier, newVerifier(key, 0)) // the session's times are in the store, its cookie needs no age of its own
		c.clientVerifier = append(c.clientVerifier, newVerifier(key, opts.ClientMaxAge))
	}
	return c
}

// name returns the cookie's name for a request, with the prefix where it may have it.
func (c *cookies) name(name string, secure bool) string {
	if secure && c.opts.mayHaveHostPrefix() && !strings.HasPrefix(name, "__") {
		return hostPrefix + name
	}
	return name
}

const sessionValueBytes = 16 + 16

// readSession returns what the request's session cookie says.
func (c *cookies) readSession(r *http.Request, secure bool) (cred credentials) {
	var v signedValue
	if verified(r, c.name(c.opts.Name, secure), c.sessionVerifier, &v) {
		cred = openedSession(&v)
	}
	return cred
}

// openedSession returns what the value of a session cookie says, whose signature holds.
func openedSession(v *signedValue) (cred credentials) {
	var raw [sessionValueBytes]byte
	if v.size != base64.RawURLEncoding.EncodedLen(len(raw)) {
		return cred
	}
	if _, err := base64.RawURLEncoding.Decode(raw[:], v.bytes()); err != nil {
		return cred
	}
	cred.id = uuid.UUID(raw[:16]).String()
	cred.token = token(raw[16:])
	cred.issued = v.signed
	return cred
}

// readClient returns the request's client ID, "" for none, and whether its cookie is old enough to be sent again.
func (c *cookies) readClient(r *http.Request, secure bool) (id string, roll bool) {
	var v signedValue
	if !verified(r, c.name(c.opts.ClientName, secure), c.clientVerifier, &v) || v.size != 36 {
		return "", false
	}
	id = strings.ToLower(string(v.bytes()))
	if uuid.Validate(id) != nil {
		return "", false
	}
	return id, c.opts.ClientRollEvery != Off && time.Since(v.signed) >= c.opts.ClientRollEvery
}

// sealSession returns the session cookie's name and value.
func (c *cookies) sealSession(secure bool, cred credentials) (name, value string, err error) {
	id, err := uuid.Parse(cred.id)
	if err != nil {
		return "", "", err
	}
	raw := append(id[:], cred.token[:]...)
	name = c.name(c.opts.Name, secure)
	value, err = c.signSession.Encode(name, base64.RawURLEncoding.AppendEncode(nil, raw))
	return name, value, err
}

// setSession adds the session cookie to h.
func (c *cookies) setSession(h http.Header, secure bool, cred credentials, maxAge time.Duration) error {
	name, value, err := c.sealSession(secure, cred)
	if err != nil {
		return err
	}
	c.set(h, name, value, secure, maxAge)
	return nil
}

// setClient adds the client cookie to h.
func (c *cookies) setClient(h http.Header, secure bool, id string) error {
	name := c.name(c.opts.ClientName, secure)
	signed, err := c.signClient.Encode(name, []byte(id))
	if err != nil {
		return err
	}
	c.set(h, name, signed, secure, c.opts.ClientMaxAge)
	return nil
}

// removeSession tells the browser to forget the session cookie.
func (c *cookies) removeSession(h http.Header, secure bool) {
	c.set(h, c.name(c.opts.Name, secure), "", secure, -1)
}

// set adds a cookie to h. A negative maxAge removes it, 0 is as long as browsers allow, untilBrowserEnds no age at all.
func (c *cookies) set(h http.Header, name, value string, secure bool, maxAge time.Duration) {
	cookie := http.Cookie{
		Name:        name,
		Value:       value,
		Path:        c.opts.Path,
		Domain:      c.opts.Domain,
		Secure:      secure,
		HttpOnly:    true,
		SameSite:    c.opts.SameSite,
		Partitioned: c.opts.Partitioned && secure,
	}
	switch {
	case maxAge == untilBrowserEnds:
	case maxAge < 0:
		cookie.MaxAge = -1
	case maxAge == 0 || maxAge > maxCookieAge:
		cookie.MaxAge = int(maxCookieAge / time.Second)
	default:
		cookie.MaxAge = max(1, int(maxAge/time.Second))
	}
	h.Add("Set-Cookie", cookie.String())
}

// markPrivate keeps caches from giving one browser's cookie to another.
func markPrivate(h http.Header) {
	markNoStore(h)
	varyCookie(h)
}

func markNoStore(h http.Header) {
	if h.Get("Cache-Control") == "" {
		h.Set("Cache-Control", "no-store")
	}
}

func varyCookie(h http.Header) { varyOn(h, "Cookie") }

// varyOn says that the response depends on headers of the request.
func varyOn(h http.Header, headers ...string) {
	for _, header := range headers {
		if !varies(h, header) {
			h.Add("Vary", header)
		}
	}
}

func varies(h http.Header, header string) bool {
	for _, line := range h.Values("Vary") {
		for name := range strings.SplitSeq(line, ",") {
			if name = strings.TrimSpace(name); name == "*" || strings.EqualFold(name, header) {
				return true
			}
		}
	}
	return false
}
