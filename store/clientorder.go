package store

import (
	"context"
	"time"
)

// ClientOrder is implemented by stores that find a client's newest sessions, and its surplus
// sessions, without reading the data of all its sessions. A client is a browser, whose requests
// determine how many sessions it has.
type ClientOrder interface {
	// NewestByClient returns up to n records with the ClientID, those that began last
	// (Record.Began), the newest first. For "" it returns none. It reads the data of no other
	// record.
	NewestByClient(ctx context.Context, clientID string, n int) ([]Record, error)

	// SurplusByClient returns the IDs of the records with the ClientID and without a UserID, except
	// for the keep records that began last: up to n, the oldest first. For "" it returns none. It
	// reads the data of no record. A record that changes meanwhile may be among them: the caller
	// checks it again before ending it.
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
