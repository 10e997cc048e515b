package credentials

// ClientID returns the client that the response is for.
func (a *Answer) ClientID() string { return a.clientID }

// ClientIsNew reports whether no other request can have named the client yet.
func (a *Answer) ClientIsNew() bool { return a.clientIsNew }

// AskClient notes that the response depends on the client: its cookie is due.
func (a *Answer) AskClient() { a.clientAsked = true }

// NewClient makes the response one for a client with an ID that has just been created.
func (a *Answer) NewClient(id string) {
	a.clientID, a.clientIsNew, a.clientDue = id, true, a.presented.Carrier == ByCookies
}

// UseClient makes the response one for the client that the request has presented a cookie of.
func (a *Answer) UseClient(cookie Client) {
	a.clientID, a.clientIsNew, a.clientDue = cookie.ID, false, a.presented.codec.rollDue(cookie)
}

// AdoptClient makes the response one for the client of the session that the request has opened. If
// the request has cookies, but none of that client, the client cookie is set.
func (a *Answer) AdoptClient(id string) {
	a.clientID, a.clientIsNew = id, false
	if a.presented.Carrier == ByCookies {
		a.clientDue, a.clientAsked = true, true
	}
}
