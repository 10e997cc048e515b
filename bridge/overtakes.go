package bridge

import (
	"sync"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/allowance"
	"github.com/sessionbridge/sessionbridge/store"
)

// A login overtakes the requests of its client that were under way. A client is named by a cookie
// that proves nothing (G10): a stranger who has a copy of it can log in again and again, as
// themselves, and must not be able to keep its owner from ever logging in. So of a client only so
// many logins that overtake something count. However many requests one login overtakes, it is one.
var overtakeRate = allowance.Rate{InARow: 8, Every: 2 * time.Minute}

// overtakes has what is left for each client of which a login has overtaken something lately.
type overtakes struct {
	mu sync.Mutex
	by *allowance.Table[overtake]
}

type overtake struct {
	left allowance.Allowance

	// The last login that was asked about, and whether it counts.
	id     string
	began  time.Time
	counts bool
}

func newOvertakes() *overtakes {
	return &overtakes{by: allowance.NewTable(func(o *overtake, now time.Time) bool { return o.left.Whole(now, overtakeRate) })}
}

// counts reports whether the client's login, which has overtaken something, is to count.
func (o *overtakes) counts(clientID string, login *store.Record) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now()
	c := o.by.Of(clientID, now)
	if c.id == login.ID && c.began.Equal(login.Began()) {
		return c.counts
	}
	c.id, c.began = login.ID, login.Began()
	c.counts = c.left.Take(now, overtakeRate)
	return c.counts
}
