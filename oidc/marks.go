package oidc

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/sessionbridge/sessionbridge/store"
)

// A mark says that the provider has ended logins. It keeps a login that is being completed, on
// whatever node, from leaving a session behind, and is kept for as long as a login may take.
//
// A session of the provider that has ended doesn't come back, so its mark ends every login with its
// sid. A user may log in again: a mark of a subject ends the logins whose ID token isn't newer than
// the logout token, by the provider's clock.

// mark is what a logout or a login looks for.
type mark struct {
	id      string
	subject bool // not of a sid
}

// marksOf returns the marks that end a login with the sid and the subject; "" for none.
func marksOf(issuer, client, sid, subject string) []mark {
	if sid != "" {
		return []mark{
			{uuidOf("ended sid", issuer, client, sid), false},
			{uuidOf("ended sub", issuer, client, subject), true},
		}
	}
	return []mark{
		{uuidOf("ended sub without sid", issuer, client, subject), true},
		{uuidOf("ended sub", issuer, client, subject), true},
	}
}

// marks returns the marks that the logout leaves. One with sid and subject also ends logins of the
// subject whose ID token has no sid: it can't be told whether they are meant.
func (l *logout) marks() []mark {
	switch {
	case l.SessionID == "":
		return []mark{{uuidOf("ended sub", l.issuer, l.client, l.Subject), true}}
	case l.Subject == "":
		return []mark{{uuidOf("ended sid", l.issuer, l.client, l.SessionID), false}}
	}
	return []mark{
		{uuidOf("ended sid", l.issuer, l.client, l.SessionID), false},
		{uuidOf("ended sub without sid", l.issuer, l.client, l.Subject), true},
	}
}

// markData is the Data of a mark's record.
type markData struct {
	IssuedAt time.Time `json:"issuedAt"` // of the newest logout token
}

// mark stores the marks of the logout.
func (x *index) mark(ctx context.Context, l *logout) error {
	for _, m := range l.marks() {
		err := x.put(ctx, m.id, func(e *entry) error {
			var d markData
			if json.Unmarshal(e.Data, &d) != nil || d.IssuedAt.Before(l.IssuedAt) {
				d.IssuedAt = l.IssuedAt
			}
			e.Data, _ = json.Marshal(d)
			e.Expires = now().Add(x.keep)
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// ended reports whether there is a mark that ends the login.
func (x *index) ended(ctx context.Context, l *Login) (bool, error) {
	for _, m := range marksOf(l.Issuer, l.ClientID, l.SessionID, l.Subject) {
		rec, err := x.get(ctx, m.id)
		switch {
		case errors.Is(err, store.ErrNotFound):
			continue
		case err != nil:
			return false, unavailable("look for a logout", err)
		}
		var d markData
		if err := json.Unmarshal(rec.Data, &d); err != nil {
			return false, unavailable("read a mark of a logout", err)
		}
		if !rec.Expired(now()) && (!m.subject || !l.IssuedAt.After(d.IssuedAt)) {
			return true, nil
		}
	}
	return false, nil
}

// seen reports whether the logout token has been processed.
func (x *index) seen(ctx context.Context, l *logout) (bool, error) {
	rec, err := x.get(ctx, l.seenID())
	switch {
	case errors.Is(err, store.ErrNotFound):
		return false, nil
	case err != nil:
		return false, unavailable("look for a logout token", err)
	}
	return !rec.Expired(now()), nil
}

// maxSeen is how long a logout token is remembered at most. One that is valid for longer ends
// nothing that has begun since when it is processed again: see Provider.covers.
const maxSeen = 24 * time.Hour

// record notes that the logout token has been processed, until it expires.
func (x *index) record(ctx context.Context, l *logout, leeway time.Duration) error {
	return x.put(ctx, l.seenID(), func(e *entry) error {
		left := min(time.Until(l.Expiry)+leeway, maxSeen)
		e.Expires = now().Add(left + time.Minute) // for the clocks of other nodes
		return nil
	})
}

func (l *logout) seenID() string { return uuidOf("jti", l.issuer, l.client, l.TokenID) }
