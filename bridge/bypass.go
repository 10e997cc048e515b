package bridge

import (
	"errors"

	"github.com/sessionbridge/sessionbridge/internal/credentials"
)

// bypassed is called in place of the first commit if the response has begun without it. Changes
// that need no cookie are stored. If a cookie is lost that is an error, and the response is
// aborted, since it tells the client otherwise.
func (rq *request) bypassed(s *Session) error {
	rq.mu.Lock()
	rq.sent = true
	rq.mu.Unlock()
	err := s.commit(rq)
	rq.mu.Lock()
	lost := rq.answer.Pending().Change != credentials.Keep
	rq.mu.Unlock()
	if err == nil && !lost {
		return nil
	}
	err = errors.Join(ErrBypassed, err)
	rq.b.stats.failedCommits.Add(1)
	rq.tell("set a session's cookies: the connection is aborted", err)
	rq.tear(err)
	return err
}
