package admin

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"strings"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/strictjson"
)

// issued is the answer that brings a token.
type issued struct {
	Session    sessionJSON `json:"session"`
	Token      string      `json:"token,omitempty"` // not if the caller has presented cookies
	SetCookies []string    `json:"setCookies"`      // values of Set-Cookie for the browser
}

// createSession makes a session, of a user or of a guest.
func (c *call) createSession() error {
	in, err := c.body(true)
	if err != nil {
		return err
	}
	n := bridge.NewSession{
		UserID: user(in, "user"), ClientID: id(in, "client"), Data: values(in, "data"),
		Addr: addr(in, "addr"), UserAgent: in.String("userAgent"),
	}
	ttl, fixed := secondsOrNull(in, "ttl"), in.Bool("fixed", false)
	n.Lifetime = secondsOrNull(in, "lifetime")
	switch {
	case !fixed:
		n.Idle = ttl
	case ttl <= 0:
		in.Fail("ttl", "a fixed time must be given")
	case in.Has("lifetime"):
		in.Fail("lifetime", "with fixed, ttl is the lifetime")
	default:
		n.Idle, n.Lifetime = bridge.Off, ttl
	}
	if err := in.Err(); err != nil {
		return err
	}
	cred, err := c.b.Create(c.ctx(), n)
	if err != nil {
		return err
	}
	c.w.Header().Set("Location", "sessions/"+cred.SessionID)
	return c.replyIssued(http.StatusCreated, cred)
}

// replyIssued answers with credentials that were issued just now.
func (c *call) replyIssued(status int, cred bridge.Credentials) error {
	cookies := []string{}
	for _, cookie := range c.b.CookiesFor(cred) {
		cookies = append(cookies, cookie.String())
	}
	return c.replyStored(status, cred.SessionID, cred.Token, cookies)
}

// replyStored answers with the session as it is stored now.
func (c *call) replyStored(status int, id, token string, cookies []string) error {
	c.session = id
	s, err := c.b.GetByID(c.ctx(), id)
	if err != nil {
		return err
	}
	out := issued{Token: token, SetCookies: append([]string{}, cookies...)}
	if out.Session, err = toJSON(s); err != nil {
		return err
	}
	c.setETag(out.Session.Revision)
	return c.reply(status, out)
}

// presented is what a caller has got from a browser or another client: cookies, or a token.
type presented struct {
	cookie string // a Cookie header
	plain  bool   // that came over plain HTTP
	cred   bridge.Credentials
}

// maxCredential limits a Cookie header and a token.
const maxCredential = 16 << 10

// readPresented reads the fields cookie or token, or one of the headers Cookie and Session-Token.
func (c *call) readPresented(in *strictjson.Object) (p presented) {
	p.cookie, p.cred.Token = shortText(in, "cookie", maxCredential), shortText(in, "token", maxCredential)
	p.cred.ClientID, p.plain = id(in, "client"), in.Bool("plainHTTP", false)
	given := 0
	for _, field := range []string{"cookie", "token"} {
		if in.Has(field) {
			given++
		}
	}
	header := c.r.Header
	if len(header["Cookie"]) > 0 {
		given++
		p.cookie = strings.Join(header["Cookie"], "; ")
	}
	if tokens := header[bridge.SessionTokenHeader]; len(tokens) > 0 {
		given += len(tokens)
		p.cred.Token = tokens[0]
	}
	switch {
	case given == 0:
		in.Fail("token", "it or cookie is required, here or as a header (Session-Token, Cookie)")
	case given > 1:
		in.Fail("token", "give one credential: a token or cookies, here or as a header")
	case len(p.cookie) > maxCredential || len(p.cred.Token) > maxCredential:
		in.Fail("token", "it is too long")
	case p.cookie != "" && !validHeader(p.cookie):
		in.Fail("cookie", "it must be the value of a Cookie header")
	case p.cookie != "" && in.Has("client"):
		in.Fail("client", "cookies name their client themselves")
	}
	return p
}

// onlyPresented reads a body that has nothing else.
func (c *call) onlyPresented() (presented, error) {
	in, err := c.body(true)
	if err != nil {
		return presented{}, err
	}
	p := c.readPresented(in)
	return p, in.Err()
}

// validHeader reports whether a header can have the value.
func validHeader(value string) bool {
	for i := range len(value) {
		if b := value[i]; b < ' ' && b != '\t' || b == 0x7f {
			return false
		}
	}
	return true
}

// resolve answers with the session that the credentials open. That is activity of its user unless
// activity is false.
func (c *call) resolve() error {
	in, err := c.body(true)
	if err != nil {
		return err
	}
	p := c.readPresented(in)
	active := in.Bool("activity", true)
	if err := in.Err(); err != nil {
		return err
	}
	if p.cookie == "" {
		open := c.b.Open
		if !active {
			open = c.b.PeekCredentials
		}
		s, err := open(c.ctx(), p.cred)
		if err != nil {
			return err
		}
		return c.replyResolved(s, nil)
	}
	open := c.b.Session
	if !active {
		open = c.b.Peek
	}
	return c.withCookies(&p, open, nil, c.replyResolved)
}

// resolved is the answer of resolve.
type resolved struct {
	Session    sessionJSON `json:"session"`
	SetCookies []string    `json:"setCookies"` // for the browser, if its cookies were renewed
}

func (c *call) replyResolved(s *bridge.Session, cookies []string) error {
	c.session = s.ID()
	out := resolved{SetCookies: append([]string{}, cookies...)}
	var err error
	if out.Session, err = toJSON(s); err != nil {
		return err
	}
	c.setETag(out.Session.Revision)
	return c.reply(http.StatusOK, out)
}

// login logs a user in to the session that the credentials open, whose values stay.
func (c *call) login() error {
	in, err := c.body(false)
	if err != nil {
		return err
	}
	p, user := c.readPresented(in), requireUser(in, "user")
	if err := in.Err(); err != nil {
		return err
	}
	if p.cookie != "" {
		return c.withCookies(&p, c.b.Session, func(s *bridge.Session) error { return s.Login(user) }, c.replyReissued)
	}
	cred, err := c.b.LoginCredentials(c.ctx(), p.cred, user)
	if err != nil {
		return err
	}
	return c.replyIssued(http.StatusOK, cred)
}

// rotate gives the session a new token.
func (c *call) rotate() error {
	p, err := c.onlyPresented()
	if err != nil {
		return err
	}
	if p.cookie != "" {
		return c.withCookies(&p, c.b.Session, (*bridge.Session).Rotate, c.replyReissued)
	}
	cred, err := c.b.RotateCredentials(c.ctx(), p.cred)
	if err != nil {
		return err
	}
	return c.replyIssued(http.StatusOK, cred)
}

func (c *call) replyReissued(s *bridge.Session, cookies []string) error {
	return c.replyStored(http.StatusOK, s.ID(), "", cookies)
}

// logout ends the session that the credentials open. With cookies, the answer removes them.
func (c *call) logout() error {
	p, err := c.onlyPresented()
	if err != nil {
		return err
	}
	if p.cookie != "" {
		end := func(s *bridge.Session) error { s.Logout(); return nil }
		return c.withCookies(&p, c.b.Session, end, func(s *bridge.Session, cookies []string) error {
			c.session = s.ID()
			return c.reply(http.StatusOK, map[string]any{"setCookies": append([]string{}, cookies...)})
		})
	}
	s, err := c.b.PeekCredentials(c.ctx(), p.cred)
	if err != nil {
		return err
	}
	c.session = s.ID()
	if _, err := c.b.DestroyByID(c.ctx(), s.ID()); err != nil {
		return err
	}
	return c.reply(http.StatusOK, map[string]any{"setCookies": []string{}})
}

// withCookies opens the session of a browser's cookies, as a request that brings them does, and
// passes it on with the cookies that the browser is to get. With change it changes the session as
// WithSession does; otherwise it only opens it.
func (c *call) withCookies(
	p *presented, open func(*http.Request) (*bridge.Session, error), change func(*bridge.Session) error,
	then func(*bridge.Session, []string) error,
) error {
	r, err := http.NewRequestWithContext(plain{c.ctx()}, http.MethodGet, "https://sessions.invalid/", nil)
	if err != nil {
		return err
	}
	r.RemoteAddr = c.r.RemoteAddr
	r.Header.Set("Cookie", p.cookie)
	if !p.plain {
		r.TLS = &tls.ConnectionState{}
	}
	var s *bridge.Session
	w := &discarder{header: make(http.Header)}
	c.b.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if change == nil {
			s, err = open(r)
		} else {
			err = c.b.WithSession(r, func(_ context.Context, in *bridge.Session) error {
				s = in
				return change(in)
			}, bridge.MissingErr(bridge.ErrSessionMissing))
		}
		if err == nil && change == nil {
			err = openedBy(s)
		}
		if errors.Is(err, bridge.ErrSessionMissing) {
			err = missing(c.b.MissingReason(r))
		}
		w.WriteHeader(http.StatusNoContent)
	})).ServeHTTP(w, r)
	switch {
	case err != nil:
		return err
	case w.status != http.StatusNoContent: // the Bridge has replaced the answer
		return &problem{Status: w.status, Detail: "The session could not be stored."}
	}
	return then(s, w.header["Set-Cookie"])
}

// openedBy returns an error for the Session of a request that has none that is stored.
func openedBy(s *bridge.Session) error {
	if err := s.Err(); err != nil && !errors.Is(err, bridge.ErrSessionClosed) { // a snapshot is closed
		return err
	}
	if s.IsNew() {
		return bridge.ErrSessionMissing
	}
	return nil
}

// missing is the error of cookies that open no session.
func missing(why bridge.MissingReason) error {
	return &problem{Status: http.StatusNotFound, Detail: "There is no such session.", Reason: why}
}

// plain is a context with the values of net/http only: a Bridge around the API must not take the
// request for the one that it is serving.
type plain struct{ context.Context }

func (p plain) Value(key any) any {
	if key == http.LocalAddrContextKey || key == http.ServerContextKey {
		return p.Context.Value(key)
	}
	return nil
}

// AfterFunc makes context.WithCancel do without a goroutine.
func (p plain) AfterFunc(f func()) (stop func() bool) { return context.AfterFunc(p.Context, f) }

// discarder is a ResponseWriter that keeps the header only.
type discarder struct {
	header http.Header
	status int
}

func (d *discarder) Header() http.Header { return d.header }

func (d *discarder) WriteHeader(status int) {
	if d.status == 0 && status >= http.StatusOK {
		d.status = status
	}
}

func (d *discarder) Write(p []byte) (int, error) {
	d.WriteHeader(http.StatusOK)
	return len(p), nil
}
