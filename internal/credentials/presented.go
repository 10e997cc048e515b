package credentials

import (
	"net/http"
	"reflect"
	"slices"
	"strings"
)

// Carrier is how a request's session credential reaches the server.
type Carrier uint8

// The carriers.
const (
	ByCookies Carrier = iota
	ByToken           // a client without cookies: Config.TokenFrom
	ByTicket          // a handshake that offers a ticket
)

// Presented is what a request presents. Codec.Read fills it in; it must not be changed or copied
// after that.
type Presented struct {
	Carrier  Carrier
	Text     string    // the ticket or the token, as the client presents it
	Sessions []Session // the session cookies, in the order of the Cookie header, or the one token
	Clients  []Client  // the client cookies, the one that was signed last first

	codec  *Codec
	secure bool        // the response's cookies are Secure, and have the names for that
	other  *otherNames // nil: none

	// Room for what most requests have.
	oneSession [1]Session
	oneClient  [1]Client
}

// otherNames are names besides those of the two cookies. Few requests have any.
type otherNames struct {
	reads  []string // the headers that TokenFrom has read
	former []string // the former names of which the request has cookies whose signature holds
}

func (p *Presented) names() (n otherNames) {
	if p.other != nil {
		n = *p.other
	}
	return n
}

// Read reads what r presents into p. secure says whether cookies in the response to r carry the
// Secure attribute. Read reports whether r presents a session cookie or a token, but none with a
// valid signature.
//
// A ticket takes precedence over a token, and a token over cookies. The cookies of a client that
// presents a ticket or a token are ignored, even if that opens nothing.
func (c *Codec) Read(p *Presented, r *http.Request, secure bool) (forged bool) {
	p.codec, p.secure = c, secure
	if len(r.Header[protocolHeader]) > 0 {
		if ticket, ok := offered(r, TicketPrefix); ok {
			p.Carrier, p.Text = ByTicket, ticket
			return false
		}
	}
	if c.cfg.TokenFrom != nil {
		reads := &headerReads{Context: r.Context()}
		text, ok := c.cfg.TokenFrom(r.WithContext(reads))
		p.other = &otherNames{reads: reads.names}
		if ok {
			return p.readToken(text)
		}
	}
	if len(r.Header["Cookie"]) == 0 {
		return false
	}
	p.readClients(r)
	p.readSessions(r)
	if len(p.Sessions) > 0 {
		return false
	}
	cookies := cookiesNamed(r, c.session.of(secure))
	_, forged = cookies.next()
	return forged
}

func (p *Presented) readToken(text string) (forged bool) {
	p.Carrier, p.Text = ByToken, text
	cred, ok := p.codec.readToken(text, p.secure)
	if !ok {
		return text != ""
	}
	p.Sessions = append(p.oneSession[:0], cred)
	return false
}

// Secure reports whether the credentials are of secure requests.
func (p *Presented) Secure() bool { return p.secure }

// Stale reports whether the request has a session credential that is to be signed anew.
func (p *Presented) Stale() bool {
	return slices.ContainsFunc(p.Sessions, func(s Session) bool { return s.Stale })
}

// Client returns the request's cookie of the client.
func (p *Presented) Client(id string) (Client, bool) {
	for _, cookie := range p.Clients {
		if cookie.ID == id {
			return cookie, true
		}
	}
	return Client{}, false
}

// LikelyClient returns the client cookie that counts until the request's session is opened: that of
// a session that the request presents, as far as its client is known, or else the one that was
// signed last. It returns false if the request has no valid client cookie.
func (p *Presented) LikelyClient(clientOf ClientOf) (Client, bool) {
	if len(p.Clients) == 0 {
		return Client{}, false
	}
	if len(p.Clients) > 1 {
		for i := range p.Sessions {
			clientID, _ := clientOf(p.Sessions[i].ID)
			if cookie, ok := p.Client(clientID); ok {
				return cookie, true
			}
		}
	}
	return p.Clients[0], true
}

// Differs reports whether r presents a session or a client that differ from those of outer, the
// request that p was read from. A request that presents neither continues with those of outer.
func (p *Presented) Differs(outer, r *http.Request) bool {
	if sameHeader(outer.Header, r.Header) { // true for each request that WithContext makes
		return false
	}
	if ticket, ok := offered(r, TicketPrefix); ok && (p.Carrier != ByTicket || ticket != p.Text) {
		return true
	}
	c := p.codec
	if c.cfg.TokenFrom != nil {
		if token, ok := c.cfg.TokenFrom(r); ok && token != "" && (p.Carrier != ByToken || token != p.Text) {
			return true
		}
	}
	presented, equal := false, true
	for _, cookie := range []*place{&c.session, &c.client} {
		for _, name := range cookie.read(p.secure) {
			same, some := cookiesNamed(r, name).equal(cookiesNamed(outer, name))
			presented, equal = presented || some, equal && same
		}
	}
	return presented && !equal
}

// sameHeader reports whether a and b are one map.
func sameHeader(a, b http.Header) bool {
	return reflect.ValueOf(a).UnsafePointer() == reflect.ValueOf(b).UnsafePointer()
}

// HideOffers removes the tickets and tokens from the subprotocols that r offers, so that no
// upgrader sees them or answers with one. If Subprotocol is all that is left, HideOffers adds it to
// the answer.
func (p *Presented) HideOffers(r *http.Request, answer http.Header) {
	var public []string
	hidden := false
	for name := range offeredProtocols(r.Header) {
		if p.isSecret(name) {
			hidden = true
		} else {
			public = append(public, name)
		}
	}
	if !hidden {
		return
	}
	if len(public) == 0 {
		r.Header.Del(protocolHeader)
		return
	}
	r.Header[protocolHeader] = []string{strings.Join(public, ", ")}
	if len(public) == 1 && public[0] == Subprotocol {
		answer[protocolHeader] = []string{Subprotocol}
	}
}

// isSecret reports whether the name of an offered subprotocol contains the credential.
func (p *Presented) isSecret(name string) bool {
	return strings.HasPrefix(name, TicketPrefix) ||
		p.Carrier == ByToken && p.Text != "" && strings.HasSuffix(name, p.Text)
}
