package dbsc

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Instructions are the answer to a registration: what the browser keeps fresh, and how.
type Instructions struct {
	SessionID  string
	RefreshURL string      // an absolute path of the same origin
	Cookie     http.Cookie // the bound cookie: see SetCookie
}

// Encode returns the JSON of the instructions. They are for the origin that answers.
func (i *Instructions) Encode() ([]byte, error) {
	type scope struct {
		IncludeSite bool `json:"include_site"`
	}
	type credential struct {
		Type       string `json:"type"`
		Name       string `json:"name"`
		Attributes string `json:"attributes"`
	}
	return json.Marshal(struct {
		SessionID   string       `json:"session_identifier"`
		RefreshURL  string       `json:"refresh_url"`
		Scope       scope        `json:"scope"`
		Credentials []credential `json:"credentials"`
	}{i.SessionID, i.RefreshURL, scope{}, []credential{{"cookie", i.Cookie.Name, attributes(i.Cookie)}}})
}

// End returns the JSON that makes the browser end the session.
func End(sessionID string) ([]byte, error) {
	return json.Marshal(struct {
		SessionID string `json:"session_identifier"`
		Continue  bool   `json:"continue"`
	}{sessionID, false})
}

// SetCookie returns the Set-Cookie line of the bound cookie, which lasts for maxAge seconds. A
// browser accepts it as the cookie of the instructions only if both have the same attributes besides
// the age. So the line repeats what the instructions say.
func SetCookie(c http.Cookie, value string, maxAge int) string {
	return c.Name + "=" + value + "; " + attributes(c) + "; Max-Age=" + strconv.Itoa(maxAge)
}

// attributes returns the attributes of the cookie as they are in a Set-Cookie line, without its
// name, value and age.
func attributes(c http.Cookie) string {
	c.Value, c.MaxAge, c.Expires = "", 0, time.Time{}
	_, attributes, _ := strings.Cut(c.String(), "; ")
	return attributes
}
