package bridge

import (
	"context"
	"errors"
	"log/slog"

	"github.com/sessionbridge/sessionbridge/internal/credentials"
	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/store"
)

// errStranger: the session could be opened, but belongs to a client of which the request has no
// cookie.
var errStranger = errors.New("bridge: the session of another client")

// openPresented opens the session that the request's cookies name. errRefused if they open nothing,
// or there are none.
//
// A browser may have several cookies of one name, set for different paths and domains or by sibling
// hosts, and doesn't tell them apart. Each is tried until one opens a session, in the order of
// Presented.CandidatesInOrder. A session whose token has just been replaced (ErrTokenRotated) is
// the result only if no other one opens.
func (rq *request) openPresented(ctx context.Context) (*Session, error) {
	if len(rq.presented.Sessions) == 0 {
		return nil, errRefused
	}
	if len(rq.presented.Sessions) == 1 {
		s, err := rq.openCandidate(ctx, rq.presented.Sessions, false)
		if s != nil { // it may be that of a replaced token
			return s, nil
		}
		return nil, rq.tellRefused(ctx, err)
	}
	tries, err := rq.candidates(ctx)
	if err != nil {
		return nil, err
	}
	var out overtaken
	strangers := tries[:0:0]
	for _, cookies := range tries {
		s, err := rq.openCandidate(ctx, cookies, len(rq.presented.Clients) > 0)
		switch {
		case err == nil:
			rq.passOver(out.err != nil)
			return s, nil
		case errors.Is(err, errStranger):
			strangers = append(strangers, cookies)
		case !out.is(s, err) && !errors.Is(err, errRefused):
			return nil, err
		}
	}
	if out.err != nil && len(rq.presented.Clients) > 0 { // it is the client's own, and its newer cookie is on its way
		return out.answer()
	}
	for _, cookies := range strangers {
		s, err := rq.openCandidate(ctx, cookies, false)
		if !out.is(s, err) && !errors.Is(err, errRefused) {
			return s, err
		}
	}
	if out.err != nil {
		return out.answer()
	}
	return nil, rq.tellRefused(ctx, errRefused)
}

// overtaken collects the presented sessions in which a user has logged in, or which have ended,
// since the request began.
type overtaken struct {
	err      error
	replaced *Session // of a token that a login has replaced: see superseded
}

// is reports whether the session that was tried is one of those, and records it. A login takes
// precedence over an end.
func (o *overtaken) is(s *Session, err error) bool {
	switch {
	case errors.Is(err, ErrTokenRotated):
		o.err = err
		if o.replaced == nil {
			o.replaced = s
		}
	case errors.Is(err, ErrSessionGone):
		if o.err == nil {
			o.err = err
		}
	default:
		return false
	}
	return true
}

func (o *overtaken) answer() (*Session, error) {
	if o.replaced != nil {
		return o.replaced, nil
	}
	return nil, o.err
}

// passOver records whether sessions were skipped because their newer token is on its way to the
// browser.
func (rq *request) passOver(some bool) {
	rq.mu.Lock()
	defer rq.mu.Unlock()
	rq.passed = some
}

// tellRefused counts and logs that the request's session cookies open nothing if err is errRefused.
// It returns err.
func (rq *request) tellRefused(ctx context.Context, err error) error {
	if errors.Is(err, errRefused) {
		b := rq.b
		rq.refused(rq.rejected)
		b.opts.Logger.LogAttrs(ctx, slog.LevelDebug, "session cookie opens nothing: unknown session or stale token",
			b.logSession(rq.presented.Sessions[0].ID))
	}
	return err
}

// endOthers ends the other sessions that the request presents and that are its client's: after a
// logout an older cookie must not open another session.
func (rq *request) endOthers(ctx context.Context, later *gateway.Later, ending string, from *origin) error {
	if len(rq.presented.Sessions) < 2 {
		return nil
	}
	for _, cookies := range rq.presented.Candidates(rq.b.clients.ClientOf) {
		id := cookies.ID()
		if id == ending {
			continue
		}
		own := func(rec *store.Record) bool {
			_, _, err := rq.proveAny(rec, cookies)
			return err == nil && rq.fits(rec)
		}
		if _, err := rq.b.gateway.DestroyIf(ctx, later, id, own, from); err != nil {
			return err
		}
	}
	return nil
}

// candidates returns the sessions that the request presents, in the order in which they are tried.
func (rq *request) candidates(ctx context.Context) ([]credentials.Candidate, error) {
	return rq.presented.CandidatesInOrder(rq.b.clients.ClientOf, func(id string) (*store.Record, error) {
		rec, err := rq.b.gateway.Load(ctx, id)
		if errors.Is(err, ErrSessionMissing) {
			err = nil
		}
		return &rec, err
	})
}

// proveAny checks the cookies of one session against its record: errRefused, ErrTokenRotated.
func (rq *request) proveAny(rec *store.Record, cookies credentials.Candidate) (
	proved uint64, t credentials.Token, err error,
) {
	proved, t, verdict := rq.b.grace.ProveAny(rec, cookies, rq.began)
	switch verdict {
	case credentials.Refused:
		err = errRefused
	case credentials.Replaced:
		err = ErrTokenRotated
	case credentials.Proved:
	}
	return proved, t, err
}

// fits reports whether the request has a cookie of the session's client.
func (rq *request) fits(rec *store.Record) bool {
	_, ok := rq.presented.Client(rec.ClientID)
	return ok
}
