package admin

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/sessionbridge/sessionbridge/bridge"
)

// authenticate answers a proxy that asks whether a request may pass: 204 with the session in
// headers, or 401. The question has the headers of the request that it is about.
func (c *call) authenticate() error {
	require, activity := c.params["require"], c.params["activity"]
	switch require {
	case "", "session", "login", "none":
	default:
		return badField("require", "it must be session, login or none")
	}
	switch activity {
	case "", "true", "false":
	default:
		return badField("activity", "it must be true or false")
	}
	r := c.asked()
	if isUpgrade(r) {
		if err := c.b.CheckOrigin(r); err != nil {
			return &problem{Status: http.StatusForbidden, Detail: "Pages of this origin may not open connections."}
		}
	}
	var err error
	w := &cookieCopier{ResponseWriter: c.w}
	c.b.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		open := c.b.Session
		if activity == "false" {
			open = c.b.Peek
		}
		s, e := open(r)
		if e == nil {
			e = openedBy(s)
		}
		switch {
		case e == nil && require == "login" && s.UserID() == "":
			err = unauthorized("")
			return
		case errors.Is(e, bridge.ErrSessionMissing) && require == "none":
			s = nil
		case errors.Is(e, bridge.ErrSessionMissing):
			err = unauthorized(c.b.MissingReason(r))
			return
		case e != nil:
			err = e
			return
		}
		c.api.opts.ForwardAuth.SetHeaders(w.Header(), s)
		w.WriteHeader(http.StatusNoContent)
	})).ServeHTTP(w, r)
	if c.status = w.status; c.status != 0 { // perhaps of an error that the Bridge has answered itself
		return nil
	}
	return err
}

func unauthorized(why bridge.MissingReason) error {
	return &problem{Status: http.StatusUnauthorized, Detail: "The request has no session, or no login.", Reason: why}
}

// SetHeaders sets the headers that tell a backend about a session, nil for none: X-Session-Id,
// X-Session-User and those of Values. Each is set, if only to an empty value, because some proxies
// let a client's own header pass if the answer has none of that name. It is for proxies in Go; they
// have to remove the client's own headers, in every spelling that the backend takes for the same.
func (f *ForwardAuth) SetHeaders(h http.Header, s *bridge.Session) {
	id, user := "", ""
	if s != nil {
		id, user = s.ID(), s.UserID()
	}
	h.Set(headerID, id)
	h.Set(headerUser, escape(user))
	for header, key := range f.Values {
		value := ""
		if s != nil {
			value = textOf(s, key)
		}
		h.Set(header, escape(value))
	}
}

// textOf returns a value of the session: a string as it is, another value as JSON, "" for none.
func textOf(s *bridge.Session, key string) string {
	raw, ok := bridge.NewKey[json.RawMessage](key).Get(s)
	if !ok || string(raw) == "null" {
		return ""
	}
	var text string
	if json.Unmarshal(raw, &text) != nil {
		return string(raw)
	}
	return text
}

// escape returns the text with percent-encoding of each byte that isn't printable ASCII, and of
// "%", so that a header can have it whatever it is.
func escape(text string) string {
	const hex = "0123456789ABCDEF"
	var out strings.Builder
	for i := range len(text) {
		if b := text[i]; b <= ' ' || b > '~' || b == '%' {
			out.Write([]byte{'%', hex[b>>4], hex[b&15]})
		} else {
			out.WriteByte(b)
		}
	}
	return out.String()
}

// asked returns the request that the proxy asks about, as far as the Bridge has to know it: without
// the key of the proxy, with its Host.
func (c *call) asked() *http.Request {
	r := c.r.Clone(plain{c.ctx()})
	if c.key != nil {
		if len(r.Header[headerKey]) > 0 {
			r.Header.Del(headerKey)
		} else {
			r.Header.Del("Authorization")
		}
	}
	if host, _, _ := strings.Cut(r.Header.Get("X-Forwarded-Host"), ","); host != "" { // no page can set it
		r.Host = strings.TrimSpace(host)
	}
	// For an error that the Bridge answers itself.
	r.Header.Set("Accept", "application/problem+json")
	if len(r.Header["Sec-Websocket-Key"]) > 0 && r.Header.Get("Upgrade") == "" { // a proxy drops it
		r.Header.Set("Upgrade", "websocket")
	}
	r.Body, r.ContentLength = http.NoBody, 0
	return r
}

func isUpgrade(r *http.Request) bool { return len(r.Header["Upgrade"]) > 0 }

// cookieCopier repeats each Set-Cookie of the answer in a header of its own: nginx can read only
// one line of a name.
type cookieCopier struct {
	http.ResponseWriter
	status int
}

func (w *cookieCopier) WriteHeader(status int) {
	if status >= http.StatusOK && w.status == 0 {
		w.status = status
		for i, cookie := range w.Header()["Set-Cookie"] {
			w.Header().Set(headerCookies+strconv.Itoa(i+1), cookie)
		}
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *cookieCopier) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	return w.ResponseWriter.Write(p)
}
