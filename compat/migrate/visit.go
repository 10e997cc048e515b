package migrate

import (
	"context"
	"fmt"

	"github.com/sessionbridge/sessionbridge/bridge"
)

var visits = bridge.NewKey[int]("visits")

// visit counts a visit, for a request or for a message on a socket. No visit is lost.
func visit(_ context.Context, s *bridge.Session) (string, error) {
	n, _ := visits.Get(s)
	visits.Set(s, n+1)
	return fmt.Sprintf("%q %d", s.UserID(), n+1), nil
}
