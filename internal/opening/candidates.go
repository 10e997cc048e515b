package opening

import (
	"context"
	"errors"

	"github.com/sessionbridge/sessionbridge/internal/credentials"
	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/store"
)

// candidates returns the sessions that the request presents, in the order in which they are tried.
func (x *Exchange) candidates(ctx context.Context) ([]credentials.Candidate, error) {
	return x.presented.CandidatesInOrder(x.o.cfg.ClientOf, func(id string) (*store.Record, error) {
		rec, err := x.o.cfg.Gateway.Load(ctx, id)
		if errors.Is(err, gateway.ErrMissing) {
			err = nil
		}
		return &rec, err
	})
}

// prove checks the cookies of one session against its record. It returns errRefused or
// gateway.ErrTokenRotated.
func (x *Exchange) prove(rec *store.Record, cookies credentials.Candidate) (
	generation uint64, t credentials.Token, err error,
) {
	generation, t, verdict := x.o.cfg.Grace.ProveAny(rec, cookies, x.began)
	switch verdict {
	case credentials.Refused:
		err = errRefused
	case credentials.Replaced:
		err = gateway.ErrTokenRotated
	case credentials.Proved:
	}
	return generation, t, err
}

// EndOthers ends the request's other sessions, if it proves their tokens and has their client's
// cookie: after a logout an older cookie must not open another session. The ends have the tag.
func (x *Exchange) EndOthers(ctx context.Context, later *gateway.Later, sessionID string, tag any) error {
	if len(x.presented.Sessions) < 2 {
		return nil
	}
	for _, cookies := range x.presented.Candidates(x.o.cfg.ClientOf) {
		id := cookies.ID()
		if id == sessionID {
			continue
		}
		own := func(rec *store.Record) bool {
			_, _, _, err := x.proveDevice(rec, cookies)
			return err == nil && x.fits(rec)
		}
		if _, err := x.o.cfg.Gateway.DestroyIf(ctx, later, id, own, tag); err != nil {
			return err
		}
	}
	return nil
}

// EndImported ends a session that was imported from another library, if s, which is derived from
// that library's credential, still opens it. The end has the tag.
func (x *Exchange) EndImported(ctx context.Context, later *gateway.Later, s credentials.Session, tag any) error {
	opens := func(rec *store.Record) bool {
		_, _, _, err := x.proveDevice(rec, credentials.Candidate{s})
		return err == nil
	}
	_, err := x.o.cfg.Gateway.DestroyIf(ctx, later, s.ID, opens, tag)
	return err
}
