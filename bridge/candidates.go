package bridge

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/store"
)

// maxTried is how many sessions the cookies of one request are looked up for. Cookies of the same
// session count once.
const maxTried = 16

// presented is what a request's cookies say.
type presented struct {
	sessions []credentials  // those whose signature holds, as they came; or the one token of a client without cookies
	clients  []clientCookie // likewise, the one that was signed last first

	// Room for what most requests have.
	oneSession [1]credentials
	oneClient  [1]clientCookie
}

func (p *presented) read(c *cookies, r *http.Request, secure bool) {
	p.clients = c.readClients(p.oneClient[:0], r, secure)
	p.sessions = c.readSessions(p.oneSession[:0], r, secure)
}

// errStranger: the session could be opened, but belongs to a client of which the request has no
// cookie.
var errStranger = errors.New("bridge: the session of another client")

// openPresented opens the session that the request's cookies name. errRefused when they open
// nothing, or there are none.
//
// A browser may have several cookies of the name, as Path, Domain and sibling hosts give it, and
// doesn't say which is which. Each is tried until one opens a session: first those of a client
// whose cookie the request has, too, and of these the one that was set last, as logins set cookies.
// That another session has just got a new token (ErrTokenRotated) counts only if none opens.
func (rq *request) openPresented(ctx context.Context) (*Session, error) {
	if len(rq.presented.sessions) == 0 {
		return nil, errRefused
	}
	if len(rq.presented.sessions) == 1 {
		s, err := rq.openCandidate(ctx, rq.presented.sessions, false)
		if s != nil { // perhaps that of a replaced token
			return s, nil
		}
		return nil, rq.tellRefused(ctx, err)
	}
	tries, err := rq.inOrder(ctx)
	if err != nil {
		return nil, err
	}
	var out overtaken
	strangers := tries[:0:0]
	for _, cookies := range tries {
		s, err := rq.openCandidate(ctx, cookies, len(rq.presented.clients) > 0)
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
	if out.err != nil && len(rq.presented.clients) > 0 { // the session is the client's own, whose newer cookie is on its way
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

// overtaken is what is known of the presented sessions that have logged in, or ended, since the
// request began.
type overtaken struct {
	err      error
	replaced *Session // of a token that a login has replaced: see superseded
}

// is reports whether the session that was tried is one of those, and notes it. A login counts more
// than an end.
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

// passOver notes that the request has passed over sessions whose newer token is on its way to the browser.
func (rq *request) passOver(some bool) {
	rq.mu.Lock()
	defer rq.mu.Unlock()
	rq.passed = some
}

// tellRefused counts and logs that the request's session cookies open nothing, if that is what err
// says. It returns err.
func (rq *request) tellRefused(ctx context.Context, err error) error {
	if errors.Is(err, errRefused) {
		b := rq.b
		rq.refused(rq.rejected)
		b.opts.Logger.LogAttrs(ctx, slog.LevelDebug, "session cookie opens nothing: unknown session or stale token", b.logSession(rq.presented.sessions[0].id))
	}
	return err
}

// endOthers ends the other sessions that the request presents if they are of its client: after a logout an older cookie beside that of the
// session must not open another one.
func (rq *request) endOthers(ctx context.Context, later *gateway.Later, ending string, from *origin) error {
	if len(rq.presented.sessions) < 2 {
		return nil
	}
	for _, cookies := range rq.bySession() {
		id := cookies[0].id
		if id == ending {
			continue
		}
		own := func(rec *store.Record) bool {
			_, _, err := rq.proveAny(rec, cookies)
			return err == nil && rq.fits(rec)
		}
		if _, err := rq.b.gateway.DestroyIfUnder(ctx, later, id, own, from); err != nil {
			return err
		}
	}
	return nil
}

// bySession returns the request's session cookies, those of one session together, the sessions in the order in which they are tried.
func (rq *request) bySession() [][]credentials {
	var tries [][]credentials
	place := make(map[string]int, len(rq.presented.sessions))
	for _, cookie := range rq.presented.sessions {
		i, ok := place[cookie.id]
		if !ok {
			i = len(tries)
			place[cookie.id], tries = i, append(tries, nil)
		}
		tries[i] = append(tries[i], cookie)
	}
	if len(tries) > maxTried {
		rq.sortTries(tries, known)
		tries = tries[:maxTried]
	}
	rq.sortTries(tries, unknown)
	return tries
}

// inOrder is bySession that asks the store where the order isn't clear.
func (rq *request) inOrder(ctx context.Context) ([][]credentials, error) {
	tries := rq.bySession()
	for at := 0; at < len(tries); {
		end := at + 1
		for end < len(tries) && lastSigned(tries[end]) == lastSigned(tries[at]) {
			end++
		}
		if end-at > 1 {
			if err := rq.orderTied(ctx, tries[at:end]); err != nil {
				return nil, err
			}
		}
		at = end
	}
	return tries, nil
}

func lastSigned(cookies []credentials) (last int64) {
	for _, cookie := range cookies {
		last = max(last, cookie.issued.Unix())
	}
	return last
}

// fitness is what this process remembers of a session's client. It says what to try first, and
// nothing about what may be opened.
type fitness int

const (
	known   fitness = iota // the request has a cookie of the client
	unknown                // this process doesn't know the session
	strange                // it is another client's
)

// sortTries puts the sessions that are no worse than level first, and of equals the one whose cookie was signed last.
func (rq *request) sortTries(tries [][]credentials, level fitness) {
	rank := make(map[string]fitness, len(tries))
	for _, cookies := range tries {
		id := cookies[0].id
		clientID, ok := rq.b.clients.ClientOf(id)
		switch _, fits := rq.clientCookie(clientID); {
		case !ok:
			rank[id] = max(level, unknown)
		case fits:
			rank[id] = max(level, known)
		default:
			rank[id] = strange
		}
	}
	slices.SortStableFunc(tries, func(a, b []credentials) int {
		return cmp.Or(cmp.Compare(rank[a[0].id], rank[b[0].id]), cmp.Compare(lastSigned(b), lastSigned(a)))
	})
}

// orderTied orders sessions whose cookies were signed in the same second: the one whose token is newest comes first, of equals one
// with a user.
func (rq *request) orderTied(ctx context.Context, tied [][]credentials) error {
	recs := make(map[string]*store.Record, len(tied))
	for _, cookies := range tied {
		id := cookies[0].id
		rec, err := rq.b.gateway.Load(ctx, id)
		if err != nil && !errors.Is(err, ErrSessionMissing) {
			return err
		}
		recs[id] = &rec // empty if it is missing
	}
	slices.SortStableFunc(tied, func(x, y []credentials) int {
		a, b := recs[x[0].id], recs[y[0].id]
		return cmp.Or(tokenIssued(b).Compare(tokenIssued(a)), cmp.Compare(b.UserID, a.UserID))
	})
	return nil
}

func tokenIssued(rec *store.Record) time.Time {
	if rec.RotatedAt.After(rec.Created) {
		return rec.RotatedAt
	}
	return rec.Created
}

// proveAny checks the cookies of one session against its record. The current token comes before the previous one: the browser has it.
func (rq *request) proveAny(rec *store.Record, cookies []credentials) (proved uint64, t token, err error) {
	err = errRefused
	for _, cookie := range cookies {
		generation, e := rq.b.prove(rec, cookie, rq.began)
		switch {
		case e == nil && (err != nil || generation > proved):
			proved, t, err = generation, cookie.token, nil
		case e != nil && err != nil && !errors.Is(e, errRefused):
			err = e
		}
	}
	return proved, t, err
}

// fits reports whether the request has a cookie of the session's client.
func (rq *request) fits(rec *store.Record) bool {
	_, ok := rq.clientCookie(rec.ClientID)
	return ok
}
