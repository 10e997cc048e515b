package credentials

import (
	"math"
	"net/http"
	"slices"
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
	_, value, err := c.sealSession(secure, cred)
	if err == nil {
		c.set(h, &c.session.slot, value, secure, maxAge)
	}
	return err
}

// setClient adds the client cookie to h.
func (c *Codec) setClient(h http.Header, secure bool, id string) {
	cookie := c.clientCookie(secure, id)
	h.Add("Set-Cookie", cookie.String())
}

func (c *Codec) clientCookie(secure bool, id string) http.Cookie {
	signed := c.keys.Load().clients.sign(c.client.of(secure), []byte(id))
	return c.cookie(&c.client.slot, signed, secure, c.cfg.ClientMaxAge)
}

// removeSession adds a session cookie to h that makes the browser remove its own.
func (c *Codec) removeSession(h http.Header, secure bool) {
	c.set(h, &c.session.slot, "", secure, removed)
}

// removeDevice adds a cookie to h that makes the browser remove the one that proves its device.
func (c *Codec) removeDevice(h http.Header, secure bool) {
	if c.cfg.DeviceName != "" && secure {
		c.set(h, &c.device, "", secure, removed)
	}
}

// DeviceCookie returns the cookie that proves a device, without its value and age. It is that of
// secure requests.
func (c *Codec) DeviceCookie() http.Cookie { return c.cookie(&c.device, "", true, UntilBrowserCloses) }

// removeFormer adds cookies to h that make the browser remove those that it has elsewhere: in
// former scopes, which the request doesn't tell, and under the former names that it has presented.
// They come before the cookie that is set, which clients that ignore the scope would remove
// otherwise.
func (c *Codec) removeFormer(h http.Header, at *place, p *Presented) {
	name := at.of(p.secure)
	for i := range at.former {
		former := &at.former[i]
		if was := former.of(p.secure); was == name || slices.Contains(p.names().former, was) {
			c.set(h, former, "", p.secure, removed)
		}
	}
}

// set adds a cookie to h: see cookie.
func (c *Codec) set(h http.Header, at *slot, value string, secure bool, maxAge time.Duration) {
	cookie := c.cookie(at, value, secure, maxAge)
	h.Add("Set-Cookie", cookie.String())
}

// cookie returns a cookie. site.Site.Secure decides secure; the Config is from bridge/settings.go. A
// maxAge of 0 means as long as browsers allow, UntilBrowserCloses means no age at all, and another
// negative one removes the cookie.
func (c *Codec) cookie(at *slot, value string, secure bool, maxAge time.Duration) http.Cookie {
	cookie := http.Cookie{
		Name:        at.of(secure),
		Value:       value,
		Path:        at.Path,
		Domain:      at.Domain,
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
	return cookie
}
