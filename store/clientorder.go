package store

import (
	"context"
	"time"
)

// ClientOrder is implemented by stores that find a client's newest sessions, and those that are too
// many, without reading the data of all that the client has: a client is a browser, and its
// requests decide how many there are.
type ClientOrder interface {
	// NewestByClient returns up to n records with the ClientID, those that began last
	// (Record.Began), the newest first; for "" it returns none. It reads the data of no other
	// record.
	NewestByClient(ctx context.Context, clientID string, n int) ([]Record, error)

	// SurplusByClient returns the IDs of the records with the ClientID and without a UserID, but
	// for the keep of them that began last: up to n, the oldest first; for "" it returns none. It
	// reads the data of no record. A record that changes meanwhile may be among them: the caller
	// looks again before it ends one.
	SurplusByClient(ctx context.Context, clientID string, keep, n int) ([]string, error)
}

// Began returns when the session became its client's newest: when it was created, or at its last
// login.
func (r *Record) Began() time.Time {
	if r.LoggedIn.After(r.Created) {
		return r.LoggedIn
	}
	return r.Created
}
