package credentials

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/uuidtext"
)

// Token returns the text that a client without cookies presents: the value of the session cookie of
// secure or insecure requests, without its padding, which the name of a subprotocol can't have.
func (c *Codec) Token(cred Session, secure bool) (string, error) {
	_, text, err := c.sealSession(secure, cred)
	return strings.TrimRight(text, "="), err
}

// ReadToken reads a token that a caller presents without a request into p, and the client that the
// caller says it has, "" for none. White space around the token, as of a file's last line, doesn't
// count. As there is no request, the token may be of secure or of insecure ones. It returns false,
// and p is unusable, if the signature doesn't hold.
func (c *Codec) ReadToken(p *Presented, text, clientID string) bool {
	text = strings.TrimSpace(text)
	p.secure = true
	cred, ok := c.readToken(text, true)
	if !ok && c.session.of(true) != c.session.of(false) {
		p.secure = false
		cred, ok = c.readToken(text, false)
	}
	if !ok {
		return false
	}
	p.codec, p.Carrier, p.Text = c, ByToken, text
	p.Sessions = append(p.oneSession[:0], cred)
	if clientID != "" {
		p.Clients = append(p.oneClient[:0], Client{ID: clientID})
	}
	return true
}

// IsClientID reports whether a client may have the ID: it is a UUID in lower case.
func IsClientID(id string) bool {
	_, ok := uuidtext.Parse(id)
	return ok
}

// CheckClientID returns an error for an ID that no client can have; "" is valid. field is what has
// the ID. The bridge returns the error, hence the prefix.
func CheckClientID(field, id string) error {
	if id != "" && !IsClientID(id) {
		return fmt.Errorf("bridge: %s: %.40q is not the ID of a client: a UUID in lower case, or \"\"", field, id)
	}
	return nil
}

// Cookies returns the session cookie of a client that has the token, whose lifetime is as in
// Answer.SetSession, and its client cookie. The token is read as by ReadToken, but must be one of
// requests that are secure as the cookies are: a session that began over plain HTTP doesn't continue
// on HTTPS. It returns false if the token isn't, if its signature doesn't hold or names another
// session, or if clientID is no ID.
func (c *Codec) Cookies(
	text, sessionID, clientID string, secure bool, lifetime time.Duration,
) (cookies []*http.Cookie, ok bool) {
	cred, ok := c.readToken(strings.TrimSpace(text), secure)
	if !ok || !IsClientID(clientID) || cred.ID != sessionID {
		return nil, false
	}
	_, value, err := c.sealSession(secure, cred) // the token may have a former name, or another key
	if err != nil {
		return nil, false
	}
	client := c.clientCookie(secure, clientID)
	session := c.cookie(&c.session.slot, value, secure, lifetime)
	return []*http.Cookie{&session, &client}, true
}
