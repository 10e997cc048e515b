package bridge

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"github.com/sessionbridge/sessionbridge/internal/credentials"
	"github.com/sessionbridge/sessionbridge/internal/errorcodes"
	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/internal/imports"
	"github.com/sessionbridge/sessionbridge/internal/opening"
)

// openImported opens what the session of another library, which the request presents, has become,
// and imports it if the request is the first one. It returns nil if there is no such session.
func (rq *request) openImported(ctx context.Context) (*Session, error) {
	in, as := rq.presentedImport()
	switch {
	case in == nil:
		return nil, nil
	case rq.headersSent():
		return nil, ErrHeadersSent
	}
	var s *Session
	state, err := rq.b.imports.Import(ctx, in, as.ID,
		func(ctx context.Context, from *imports.Foreign) (stored bool, err error) {
			s, stored, err = rq.importSession(ctx, from, as)
			return stored, err
		})
	if err != nil || state != imports.Known {
		return s, err
	}
	o, err := rq.creds.OpenImported(ctx, as)
	switch {
	case err != nil:
		return nil, err
	case o.Standing == opening.None:
		if rq.noted() == MissingNoCredential {
			rq.noteMissing(o)
		}
		return nil, nil
	}
	return rq.sessionOf(o)
}

// presentedImport returns the session of another library that the request presents, nil for none,
// and the credential of the session that it becomes.
func (rq *request) presentedImport() (*imports.Source, credentials.Session) {
	if r := rq.mayImport(); r != nil {
		return rq.b.importOf(r)
	}
	return nil, credentials.Session{}
}

// mayImport returns the request if a session of another library counts that it presents, and nil
// otherwise.
func (rq *request) mayImport() *http.Request {
	r, presented := rq.current(), rq.creds.Presented()
	if rq.b.imports == nil || r == nil || presented.Carrier != credentials.ByCookies || presented.MayLackCookies(r) {
		return nil
	}
	return r
}

// importOf is presentedImport for a request of which mayImport approves.
func (b *Bridge) importOf(r *http.Request) (*imports.Source, credentials.Session) {
	in := b.opts.Import(r)
	if in == nil || in.Key == "" {
		return nil, credentials.Session{}
	}
	return (*imports.Source)(in), imports.Derive(b.opts.Name, in.Key)
}

// endImports is called before the request ends s, for the reason in s.ending: then none of the other
// library's credentials that it presents may open a session. That library may have replaced the one
// that was imported, and only a request shows the new one. The lock is held, and free while
// functions of the application run.
func (s *Session) endImports(ctx context.Context) error {
	rq := s.from.request
	if rq == nil {
		return nil
	}
	r := rq.mayImport()
	if r == nil {
		return nil
	}
	from := s.from.ending(end{reason: s.ending})
	var later gateway.Later
	s.slot.Unlock()
	defer func() { // also after a panic
		s.lock()
		s.later.Move(&later)
	}()
	for _, each := range imports.Requests(r) {
		in, as := s.b.importOf(each)
		if in == nil || as.ID == s.id {
			continue
		}
		imported, err := s.b.imports.Exclude(ctx, in, as.ID)
		if err != nil {
			return err
		}
		if !imported {
			continue
		}
		if err := rq.creds.EndImported(ctx, &later, as, from); err != nil {
			return err
		}
	}
	return nil
}

// importSession stores the session of another library, which the request has claimed, with a new
// credential. stored is false if nothing was stored; without an error, the request goes on without
// a session.
func (rq *request) importSession(
	ctx context.Context, from *imports.Foreign, as credentials.Session,
) (s *Session, stored bool, err error) {
	rec := rq.newRecord(as.ID)
	rec.TokenHash, rec.TokenGeneration = as.Token.Hash(), 1
	full := rec.Lifetime
	lifetime, limited := from.Limit(full)
	rec.Lifetime = lifetime
	if s, err = rq.issue(rec, as.Token); err != nil {
		return nil, false, err
	}
	if limited {
		s.draft.LifetimeAfterLogin(full)
	}
	if from.UserID != "" {
		login := &gateway.Login{
			UserID: from.UserID, Elsewhere: true, At: from.LoggedIn,
			Addr: rec.Addr, UserAgent: rec.UserAgent,
		}
		if err := s.try(func() error { return s.proof.Replace(login) }); err != nil {
			return nil, false, err
		}
	}
	for key, v := range from.Values {
		s.Set(key, v)
	}
	if err = s.commit(ctx); err == nil {
		rq.b.report.Audit(ctx, slog.LevelInfo, "session imported", s.subject())
		return s, true, nil
	}
	stored = s.over() // it may have been
	report := func(doing string) { rq.b.report.Failed(ctx, slog.LevelWarn, doing, "", err) }
	switch {
	case errors.Is(err, ErrTooManySessions): // the user isn't logged in
		report("import a session: the request goes on without it")
		return nil, false, nil
	case errors.Is(err, ErrSessionTooLarge), errors.Is(err, ErrRefused) && errorcodes.CausedByClient(err):
		report("import a session") // that is no Failure otherwise
	}
	return nil, stored, err
}

// noteImported notes that the request has a session by Options.Import; nil: it has none.
func (rq *request) noteImported(s *Session) {
	if s == nil {
		return
	}
	rq.mu.Lock()
	defer rq.mu.Unlock()
	rq.missing, rq.imported = "", true
}
