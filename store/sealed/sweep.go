package sealed

import (
	"context"
	"time"

	"github.com/sessionbridge/sessionbridge/store"
)

type sweeper struct {
	*Store
	of store.Sweeper
}

// Sweep implements store.Sweeper. An expired record that can't be opened is removed, too; what is
// returned of it has neither Data nor a user and a client.
func (s sweeper) Sweep(ctx context.Context, now time.Time, n int) ([]store.Record, error) {
	recs, err := s.of.Sweep(ctx, now, n)
	found := s.reports.begin(s.app)
	defer found.end()
	for i := range recs {
		rec := &recs[i]
		if err := s.open(s.app, rec); err != nil {
			found.add(rec.ID, err)
			rec.ClientID, rec.UserID, rec.Addr, rec.UserAgent, rec.Data = "", "", "", "", nil
		}
		s.reports.forget(s.app, rec.ID) // it is gone
	}
	return recs, err
}
