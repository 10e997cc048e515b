package gateway

import (
	"context"
	"time"
)

// Count returns the number of sessions that are stored and not past their time, and stops counting
// at atMost. errors.ErrUnsupported, and the errors of the store.
func (g *Gateway) Count(ctx context.Context, atMost int) (n int, err error) {
	all, err := g.Active(ctx, time.Time{}, Now())
	if err != nil {
		return 0, err
	}
	for _, err := range all {
		if n++; err != nil || n == atMost {
			return n, err
		}
	}
	return n, nil
}
