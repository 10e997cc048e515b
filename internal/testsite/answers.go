package testsite

import (
	"context"
	"errors"
	"time"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/jsclient"
)

var total = bridge.NewKey[int]("total")

// answer answers the client's requests, and repeats its messages.
func (s *Site) answer(ctx context.Context, _ *bridge.Conn, r jsclient.Request, session *bridge.Session) (any, error) {
	if !r.Answered() {
		s.heard(string(r.Data))
		return nil, r.Reply(append([]byte("echo "), r.Data...))
	}
	var in struct {
		Do string
		N  int
	}
	if err := r.Decode(&in); err != nil {
		return nil, &jsclient.Error{Status: 400, Text: "not understood"}
	}
	switch in.Do {
	case "add":
		n, _ := total.Get(session)
		total.Set(session, n+in.N)
		return n + in.N, nil
	case "user":
		return session.UserID(), nil
	case "wait": // until a call of Release
		select {
		case <-s.release:
			return "released", nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	case "expire":
		session.SetIdleTimeout(50 * time.Millisecond)
		return nil, nil
	case "refuse":
		total.Set(session, -1) // isn't stored
		return nil, &jsclient.Error{Status: 422, Text: "not today"}
	}
	return nil, errors.New("a fault of the program")
}
