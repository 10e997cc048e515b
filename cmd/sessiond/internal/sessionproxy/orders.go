package sessionproxy

import (
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/strictjson"
)

// Headers of an answer, by which the backend changes the session of the request. The value of
// headerGrant is that of the request: an answer without it is not obeyed, because a backend that
// fetches pages of others may pass on the headers of their answers.
const (
	headerGrant  = "X-Session-Grant"
	headerLogin  = "X-Session-Login"  // the user, percent-encoded
	headerLogout = "X-Session-Logout" // 1
	headerSet    = "X-Session-Set"    // a JSON merge patch of the values (RFC 7396), percent-encoded
)

// errOrder: the headers about the session are not such that they can be obeyed.
var errOrder = errors.New("sessionproxy: the backend's headers about the session are invalid")

// orders are what an answer says about the session.
type orders struct {
	user   string // to log in; "" is none
	logout bool
	values map[string]json.RawMessage
}

// apply changes the session as the backend's headers say. If any of them can't be obeyed, none is:
// a logout that is misspelled must not look like one that has taken place.
func (x *exchange) apply(about http.Header) error {
	if len(about) == 0 {
		return nil
	}
	if !x.p.opts.TrustBackend {
		x.p.ignored.Do(func() {
			x.p.opts.Logger.Warn("the backend's X-Session headers are ignored: the proxy doesn't trust it")
		})
		return nil
	}
	o, err := parseOrders(about, x.grant)
	if err != nil {
		return err
	}
	return x.obey(&o)
}

func parseOrders(about http.Header, grant string) (o orders, err error) {
	for name, values := range about {
		if len(values) != 1 {
			return o, fmt.Errorf("%w: %s occurs %d times", errOrder, name, len(values))
		}
		text, err := url.PathUnescape(values[0])
		if err != nil || text == "" {
			return o, fmt.Errorf("%w: the value of %s is empty, or its percent-encoding is wrong", errOrder, name)
		}
		switch name {
		case headerGrant:
		case headerLogin:
			o.user = text
		case headerLogout:
			if o.logout = true; text != "1" {
				return o, fmt.Errorf("%w: the value of %s must be 1", errOrder, name)
			}
		case headerSet:
			patch, err := strictjson.Parse([]byte(text), false)
			if err != nil {
				return o, fmt.Errorf("%w: %s: %w", errOrder, name, err)
			}
			o.values = patch.All()
		default:
			return o, fmt.Errorf("%w: there is no header %s", errOrder, name)
		}
	}
	if subtle.ConstantTimeCompare([]byte(about.Get(headerGrant)), []byte(grant)) == 0 {
		return o, fmt.Errorf("%w: %s is not that of the request", errOrder, headerGrant)
	}
	if o.logout && (o.user != "" || o.values != nil) {
		return o, fmt.Errorf("%w: %s excludes the others", errOrder, headerLogout)
	}
	return o, nil
}

// obey changes the session. The change is stored before the client gets the answer.
func (x *exchange) obey(o *orders) error {
	s := x.session
	if o.logout {
		s.Logout()
		return nil
	}
	if o.user != "" { // first: it drops the values of another user
		if err := s.Login(o.user); err != nil {
			if errors.Is(err, bridge.ErrUserID) {
				return fmt.Errorf("%w: %s: %w", errOrder, headerLogin, err)
			}
			return sessionError{err}
		}
	}
	for key, change := range o.values {
		if string(change) == "null" {
			s.Delete(key)
			continue
		}
		old, _ := bridge.NewKey[json.RawMessage](key).Get(s)
		s.Set(key, strictjson.Merge(old, change))
	}
	return nil
}
