package credentials

import (
	"math"
	"net/http"
	"time"
)

const (
	// MaxAge is the longest time for which a browser keeps a cookie (RFC 6265bis §5.5).
	MaxAge = 400 * 24 * time.Hour
	// UntilBrowserCloses is the age of a cookie without Expires and Max-Age. The browser removes it
	// when its own session ends; a browser that restores its windows keeps it.
	UntilBrowserCloses = time.Duration(math.MinInt64)
)

// removed is the age of a cookie that the browser is to remove.
const removed = time.Duration(-1)

// setSession adds the session cookie to h.
func (c *Codec) setSession(h http.Header, secure bool, cred Session, maxAge time.Duration) error {
	name, value, err := c.sealSession(secure, cred)
	if err != nil {
		return err
	}
	c.set(h, name, value, secure, maxAge)
	return nil
}

// setClient adds the client cookie to h.
func (c *Codec) setClient(h http.Header, secure bool, id string) error {
	name := c.clientName(secure)
	signed, err := c.sign.Encode(name, []byte(id))
	if err != nil {
		return err
	}
	c.set(h, name, signed, secure, c.cfg.ClientMaxAge)
	return nil
}

// removeSession adds a session cookie to h that makes the browser remove its own.
func (c *Codec) removeSession(h http.Header, secure bool) {
	c.set(h, c.sessionName(secure), "", secure, removed)
}

// set adds a cookie to h. A maxAge of 0 is as long as browsers allow, UntilBrowserCloses is no age
// at all, another negative one removes the cookie.
func (c *Codec) set(h http.Header, name, value string, secure bool, maxAge time.Duration) {
	cookie := http.Cookie{
		Name:        name,
		Value:       value,
		Path:        c.cfg.Path,
		Domain:      c.cfg.Domain,
		Secure:      secure,
		HttpOnly:    true,
		SameSite:    c.cfg.SameSite,
		Partitioned: c.cfg.Partitioned && secure,
	}
	switch {
	case maxAge == UntilBrowserCloses:
	case maxAge < 0:
		cookie.MaxAge = -1
		cookie.Expires = time.Unix(0, 0) // for clients that don't know Max-Age (RFC 6265 §4.1.2.2)
	case maxAge == 0 || maxAge > MaxAge:
		cookie.MaxAge = int(MaxAge / time.Second)
	default:
		cookie.MaxAge = max(1, int(maxAge/time.Second))
	}
	h.Add("Set-Cookie", cookie.String())
}
