package bridge

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/gorilla/securecookie"

	"github.com/sessionbridge/sessionbridge/store"
)

const (
	hostPrefix = "__Host-"
	// maxCookies is how many cookies of one name are tried: a subdomain can add its own to ours (cookie tossing).
	maxCookies = 8
	// maxCookieAge is what browsers keep a cookie for at most (RFC 6265bis §5.5).
	maxCookieAge = 400 * day
)

// token is the secret in a session cookie (ASVS 7.2.3: 128 bits). It has no method that prints it.
type token [16]byte

func newToken() (t token) {
	_, _ = rand.Read(t[:])
	return t
}

func (t token) hash() store.TokenHash { return sha256.Sum256(t[:]) }

// credentials are what a session cookie says: nothing of it is true until the token has been checked against the stored hash.
type credentials struct {
	id    string // "" when no session cookie verified
	token token
}

// cookies signs, verifies and sets the two cookies.
type cookies struct {
	opts    *settings
	session []securecookie.Codec
	client  []securecookie.Codec
}

func newCookies(opts *settings) *cookies {
	c := &cookies{opts: opts}
	for _, key := range opts.Keys {
		// The session's times are in the store, so its cookie needs no age of its own, least of all securecookie's 30 days.
		c.session = append(c.session, securecookie.New(key, nil).SetSerializer(securecookie.NopEncoder{}).MaxAge(0))
		c.client = append(c.client, securecookie.New(key, nil).SetSerializer(securecookie.NopEncoder{}).MaxAge(int(opts.ClientMaxAge/time.Second)))
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

// verified returns the first cookie of the name whose signature holds: its value and how it stood in the header.
func verified(r *http.Request, name string, codecs []securecookie.Codec) (value []byte, signed string) {
	for i, cookie := range r.CookiesNamed(name) {
		if i == maxCookies {
			break
		}
		for _, codec := range codecs {
			if codec.Decode(name, cookie.Value, &value) == nil {
				return value, cookie.Value
			}
		}
	}
	return nil, ""
}

const sessionValueBytes = 16 + 16

// readSession returns what the request's session cookie says.
func (c *cookies) readSession(r *http.Request, secure bool) (cred credentials) {
	value, _ := verified(r, c.name(c.opts.Name, secure), c.session)
	var raw [sessionValueBytes]byte
	if len(value) != base64.RawURLEncoding.EncodedLen(len(raw)) {
		return cred
	}
	if _, err := base64.RawURLEncoding.Decode(raw[:], value); err != nil {
		return cred
	}
	cred.id = uuid.UUID(raw[:16]).String()
	cred.token = token(raw[16:])
	return cred
}

// readClient returns the request's client ID, "" for none, and whether its cookie is old enough to be sent again.
func (c *cookies) readClient(r *http.Request, secure bool) (id string, roll bool) {
	value, signed := verified(r, c.name(c.opts.ClientName, secure), c.client)
	if len(value) != 36 {
		return "", false
	}
	parsed, err := uuid.ParseBytes(value)
	if err != nil {
		return "", false
	}
	return parsed.String(), c.opts.ClientRollEvery != Off && time.Since(issued(signed)) >= c.opts.ClientRollEvery
}

// issued returns when a verified cookie was signed, which securecookie writes in front of the value and keeps to itself.
func issued(signed string) time.Time {
	raw, err := base64.URLEncoding.DecodeString(signed)
	if err != nil {
		return time.Time{}
	}
	stamp, _, _ := bytes.Cut(raw, []byte{'|'})
	seconds, err := strconv.ParseInt(string(stamp), 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.Unix(seconds, 0)
}

// setSession adds the session cookie to h.
func (c *cookies) setSession(h http.Header, secure bool, cred credentials, maxAge time.Duration) error {
	id, err := uuid.Parse(cred.id)
	if err != nil {
		return err
	}
	raw := append(id[:], cred.token[:]...)
	name := c.name(c.opts.Name, secure)
	signed, err := c.session[0].Encode(name, base64.RawURLEncoding.AppendEncode(nil, raw))
	if err != nil {
		return err
	}
	c.set(h, name, signed, secure, maxAge)
	return nil
}

// setClient adds the client cookie to h.
func (c *cookies) setClient(h http.Header, secure bool, id string) error {
	name := c.name(c.opts.ClientName, secure)
	signed, err := c.client[0].Encode(name, []byte(id))
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

// set adds a cookie to h. A negative maxAge removes it, 0 is as long as browsers allow.
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
	if h.Get("Cache-Control") == "" {
		h.Set("Cache-Control", "no-store")
	}
	varyCookie(h)
}

func varyCookie(h http.Header) {
	for _, line := range h.Values("Vary") {
		for name := range strings.SplitSeq(line, ",") {
			if name = strings.TrimSpace(name); name == "*" || strings.EqualFold(name, "Cookie") {
				return
			}
		}
	}
	h.Add("Vary", "Cookie")
}
