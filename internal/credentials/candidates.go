package credentials

import (
	"cmp"
	"slices"
	"time"

	"github.com/sessionbridge/sessionbridge/store"
)

// maxTried is how many sessions are looked up for the cookies of one request. Cookies of the same
// session count once.
const maxTried = 16

// Candidate are the cookies that a request presents for one session, at least one.
type Candidate []Session

// ID returns the session's ID.
func (c Candidate) ID() string { return c[0].ID }

// Stale reports whether all cookies with the token are to be signed anew.
func (c Candidate) Stale(t Token) bool {
	return !slices.ContainsFunc(c, func(s Session) bool { return s.Token == t && !s.Stale })
}

// host reports whether one of the cookies is Host.
func (c Candidate) host() bool {
	return slices.ContainsFunc(c, func(s Session) bool { return s.Host })
}

// lastSigned returns when the newest of the cookies was signed, in Unix seconds.
func (c Candidate) lastSigned() (last int64) {
	for _, cookie := range c {
		last = max(last, cookie.Signed)
	}
	return last
}

// OlderThanLogin reports whether the session's last login has replaced the tokens of the cookies,
// which don't open it. When a cookie was signed is known to the second.
func (c Candidate) OlderThanLogin(rec *store.Record) bool {
	byLogin := rec.LoginGeneration == rec.TokenGeneration && !rec.PrevTokenHash.IsZero()
	for _, cookie := range c {
		if byLogin && cookie.Token.Hash() == rec.PrevTokenHash {
			return true
		}
	}
	return !rec.LoggedIn.IsZero() && c.lastSigned() < rec.LoggedIn.Unix()
}

// ClientOf returns the client of a session, false if it isn't known.
type ClientOf func(sessionID string) (clientID string, known bool)

// Candidates returns the sessions whose cookies p has, in the order in which they are to be tried:
// first those with a cookie that is Host, then those of a client whose cookie p has as well, or
// might have; of these the one whose cookie was signed last, because logins set cookies. The order
// depends on which sessions' clients this process knows. It has no effect on whether a cookie opens
// its session.
func (p *Presented) Candidates(clientOf ClientOf) []Candidate {
	var list []Candidate
	place := make(map[string]int, len(p.Sessions))
	for _, cookie := range p.Sessions {
		i, ok := place[cookie.ID]
		if !ok {
			i = len(list)
			place[cookie.ID], list = i, append(list, nil)
		}
		list[i] = append(list[i], cookie)
	}
	if len(list) > maxTried {
		p.sort(list, clientOf, own)
		list = list[:maxTried]
	}
	p.sort(list, clientOf, unknown)
	return list
}

// Load returns the record of a session, an empty one if the session doesn't exist.
type Load func(sessionID string) (*store.Record, error)

// CandidatesInOrder is Candidates with the ties resolved. It calls load for sessions whose cookies
// were signed in the same second: the one whose token is newest comes first, or of equals one with
// a user.
func (p *Presented) CandidatesInOrder(clientOf ClientOf, load Load) ([]Candidate, error) {
	list := p.Candidates(clientOf)
	for start := 0; start < len(list); {
		end := start + 1
		for end < len(list) && list[end].lastSigned() == list[start].lastSigned() &&
			list[end].host() == list[start].host() {
			end++
		}
		if end-start > 1 {
			if err := sortTied(list[start:end], load); err != nil {
				return nil, err
			}
		}
		start = end
	}
	return list, nil
}

// fitness is what this process knows of the relation between a session and the request's clients.
type fitness int

const (
	own     fitness = iota // the request has a cookie of the session's client
	unknown                // this process doesn't know the session
	foreign                // the session is another client's
)

// sort orders the list by fitness, and then by the time of the newest signature. Levels up to best
// count as equal.
func (p *Presented) sort(list []Candidate, clientOf ClientOf, best fitness) {
	rank := make(map[string]fitness, len(list))
	for _, candidate := range list {
		id := candidate.ID()
		clientID, known := clientOf(id)
		switch _, fits := p.Client(clientID); {
		case !known:
			rank[id] = max(best, unknown)
		case fits:
			rank[id] = max(best, own)
		default:
			rank[id] = foreign
		}
	}
	slices.SortStableFunc(list, func(a, b Candidate) int {
		return cmp.Or(hostFirst(a.host(), b.host()), cmp.Compare(rank[a.ID()], rank[b.ID()]),
			cmp.Compare(b.lastSigned(), a.lastSigned()))
	})
}

func sortTied(tied []Candidate, load Load) error {
	recs := make(map[string]*store.Record, len(tied))
	for _, candidate := range tied {
		rec, err := load(candidate.ID())
		if err != nil {
			return err
		}
		recs[candidate.ID()] = rec
	}
	slices.SortStableFunc(tied, func(x, y Candidate) int {
		a, b := recs[x.ID()], recs[y.ID()]
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
