package bridge

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/gorilla/securecookie"

	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/store"
)

const (
	hostPrefix = "__Host-"
	// maxChecked is how many cookies of one name have their signature checked in one request. It is more than a browser keeps for a
	// site (180 in Chromium), so that cookies that a sibling host adds (cookie tossing) never use it up.
	maxChecked = 256
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

// Lengths of the two cookies' values, with a date of 9 to 11 digits in them. A value of another length is none of ours and costs
// no signature check.
const (
	sessionCookieLen = 140
	clientCookieLen  = 124
)

// readSessions appends the request's session cookies whose signature holds to list, in the order in which they came.
func (c *cookies) readSessions(list []credentials, r *http.Request, secure bool) []credentials {
	name := c.name(c.opts.Name, secure)
	var v signedValue
	checked := 0
	for _, cookie := range r.CookiesNamed(name) {
		if len(cookie.Value) != sessionCookieLen || !verified(name, cookie.Value, c.sessionVerifier, &v, &checked) {
			continue
		}
		if cred := openedSession(&v); cred.id != "" {
			list = append(list, cred)
		}
	}
	return list
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

// clientCookie is a client cookie whose signature holds.
type clientCookie struct {
	id     string
	signed int64 // Unix seconds
}

// readClients appends the clients that the request's cookies name to list, the one whose cookie was signed last first.
func (c *cookies) readClients(list []clientCookie, r *http.Request, secure bool) []clientCookie {
	name := c.name(c.opts.ClientName, secure)
	var v signedValue
	checked := 0
	for _, cookie := range r.CookiesNamed(name) {
		if len(cookie.Value) != clientCookieLen || !verified(name, cookie.Value, c.clientVerifier, &v, &checked) || v.size != 36 {
			continue
		}
		if id := strings.ToLower(string(v.bytes())); uuid.Validate(id) == nil {
			list = append(list, clientCookie{id, v.signed.Unix()})
		}
	}
	if len(list) > 1 {
		slices.SortStableFunc(list, func(a, b clientCookie) int { return cmp.Compare(b.signed, a.signed) })
	}
	return list
}

// rollDue reports whether a client cookie is old enough to be sent again.
func (c *cookies) rollDue(cookie clientCookie) bool {
	return c.opts.ClientRollEvery != Off && time.Since(time.Unix(cookie.signed, 0)) >= c.opts.ClientRollEvery
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
		cookie.Expires = time.Unix(0, 0) // for clients that don't know Max-Age (RFC 6265 §4.1.2.2)
	case maxAge == 0 || maxAge > maxCookieAge:
		cookie.MaxAge = int(maxCookieAge / time.Second)
	default:
		cookie.MaxAge = max(1, int(maxAge/time.Second))
	}
	h.Add("Set-Cookie", cookie.String())
}
