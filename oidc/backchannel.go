package oidc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"mime"
	"net/http"
	"sync"
	"time"

	"github.com/sessionbridge/sessionbridge/bridge"
)

const (
	maxLogoutBody = 64 << 10 // bytes; a logout token has one or two thousand
	endAtOnce     = 16       // sessions
	// logoutWithin is the time for a logout as a whole, also if the provider waits no longer.
	logoutWithin = time.Minute
)

// BackChannelLogout returns the handler of the URL that is registered at the provider as
// backchannel_logout_uri. It takes a POST with a logout token, from the provider, without cookies:
// leave it out of checks for cross-site requests, of logins and of redirects.
//
// A token with a sid ends the session with it, one without ends all sessions of its sub that began
// before it; and their connections, on every node. When the answer 200 comes, that is stored, and
// the connections of this process are being closed. 200 is also the answer if there is no such
// session, and to a token that has been processed before. 400 is the answer to an invalid token or
// request, 405 to another method, 501 without Options.Store, and 503 if the store, or the
// provider's keys, are unavailable: some sessions may have ended then, and the same token may be
// sent again.
func (p *Provider) BackChannelLogout() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		if !allowed(w, r, []string{http.MethodPost}) {
			return
		}
		if p.logins == nil {
			http.Error(w, "Back-channel logout is not available.", http.StatusNotImplemented)
			return
		}
		raw, err := logoutTokenOf(w, r)
		if err == nil {
			err = p.endSessions(r.Context(), raw)
		}
		if err != nil {
			p.refuseLogout(w, r, err)
		}
	})
}

// refuseLogout answers a logout token with an error (Back-Channel Logout §2.8).
func (p *Provider) refuseLogout(w http.ResponseWriter, r *http.Request, err error) {
	status, text, level := http.StatusServiceUnavailable, "temporarily_unavailable", slog.LevelWarn
	if errors.Is(err, ErrToken) || errors.Is(err, ErrRequest) {
		status, text, level = http.StatusBadRequest, "invalid_request", slog.LevelDebug // anyone can cause it
	} else {
		w.Header().Set("Retry-After", "5")
	}
	p.log(r.Context(), level, err)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": text})
}

// logoutTokenOf returns the logout token of the request. Parameters of the URL don't count.
func logoutTokenOf(w http.ResponseWriter, r *http.Request) (string, error) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/x-www-form-urlencoded" {
		return "", fmt.Errorf("%w: a logout has the type application/x-www-form-urlencoded", ErrRequest)
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxLogoutBody)
	if err := r.ParseForm(); err != nil {
		return "", fmt.Errorf("%w: %w", ErrRequest, err)
	}
	raw, ok := single(r.PostForm, "logout_token")
	if !ok {
		return "", fmt.Errorf("%w: a logout has exactly one logout_token", ErrRequest)
	}
	return raw, nil
}

// endSessions does what the logout token says.
func (p *Provider) endSessions(ctx context.Context, raw string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), logoutWithin)
	defer cancel()
	l, err := p.verifyLogout(ctx, raw)
	if err != nil {
		return err
	}
	if seen, err := p.logins.seen(ctx, l); seen || err != nil {
		return err
	}
	p.auditLogout(ctx, l)
	// First the mark, then the sessions: a login that the search misses finds the mark. The token
	// is recorded last: if this fails before, it can be sent again.
	if err := p.logins.mark(ctx, l); err != nil {
		return err
	}
	if err := p.endFound(ctx, l); err != nil {
		return err
	}
	return p.logins.record(ctx, l, p.opts.Leeway)
}

// endFound ends the sessions that the logout means. It goes on after a session that can't be ended.
func (p *Provider) endFound(ctx context.Context, l *logout) error {
	var running sync.WaitGroup
	var mu sync.Mutex
	var failures error
	failed := func(err error) {
		mu.Lock()
		defer mu.Unlock()
		failures = errors.Join(failures, err)
	}
	found, err := p.logins.find(ctx, l)
	if err != nil {
		return err
	}
	slots := make(chan struct{}, endAtOnce)
	for i := range found {
		e := &found[i]
		slots <- struct{}{} // the calls of the Bridge are limited by its Options.StoreTimeout
		running.Go(func() {
			defer func() { <-slots }()
			if err := p.endIfMeant(ctx, l, e); err != nil {
				failed(err)
			}
		})
	}
	running.Wait()
	return failures
}

// endIfMeant ends the session of the record if the logout means it.
func (p *Provider) endIfMeant(ctx context.Context, l *logout, e *entry) error {
	d, err := e.data()
	if err != nil {
		return err
	}
	if l.Subject != "" && e.UserID != subjectKey(l.issuer, l.client, l.Subject) {
		return nil
	}
	s, err := p.bridge.GetByID(ctx, d.Session)
	switch {
	case errors.Is(err, bridge.ErrSessionMissing):
		return nil
	case err != nil:
		return err
	}
	sid := l.SessionID // by which the record was found
	if e.ClientID == "" {
		sid = ""
	}
	if !p.means(l, s, sid, &d) {
		return nil
	}
	ended, err := p.bridge.DestroyByID(ctx, d.Session)
	if ended {
		p.audit(ctx, "session ended by the identity provider",
			slog.String("session", p.bridge.LogHash(d.Session)), slog.String("user", p.bridge.LogHash(s.UserID())),
			slog.String("issuer", l.issuer))
	}
	return err
}

// audit writes a line of Options.Audit.
func (p *Provider) audit(ctx context.Context, message string, attrs ...slog.Attr) {
	if p.opts.Audit != nil {
		p.opts.Audit.LogAttrs(ctx, slog.LevelInfo, message, attrs...) //nolint:sloglint // a constant of each caller
	}
}

// auditLogout writes the line of a logout token that is valid and new.
func (p *Provider) auditLogout(ctx context.Context, l *logout) {
	attrs := []slog.Attr{slog.String("issuer", l.issuer)}
	if l.Subject != "" {
		attrs = append(attrs, slog.String("user", p.bridge.LogHash(UserIDOf(l.issuer, l.Subject))))
	}
	p.audit(ctx, "logout at the identity provider", attrs...)
}

// means reports whether the logout means the session. The session says with which login it began.
// If the application has cleared its values, or the login is pending, its record does: sid and d.
func (p *Provider) means(l *logout, s *bridge.Session, sid string, d *entryData) bool {
	if time.Now().Before(d.Pending) && p.covers(l, sid, d.IssuedAt) {
		return true
	}
	if login, ok := LoginOf(s); ok {
		return login.Issuer == l.issuer && login.ClientID == l.client &&
			(l.Subject == "" || login.Subject == l.Subject) && p.covers(l, login.SessionID, login.IssuedAt)
	}
	return d.UserID == s.UserID() && p.covers(l, sid, d.IssuedAt)
}

// covers reports whether the logout covers a login of its subject with the sid, "" for none.
//
// A session of the provider ends for ever: for as long as its mark says so. But a user who has
// logged in again is not logged out by an earlier token that comes late.
func (p *Provider) covers(l *logout, sid string, issuedAt time.Time) bool {
	switch {
	case l.SessionID != "" && sid != "":
		return sid == l.SessionID && !issuedAt.After(l.IssuedAt.Add(p.logins.keep))
	case l.Subject == "":
		return false
	}
	// One of all sessions of the subject; or of a session whose ID token had no sid: it may be this
	// one.
	return !issuedAt.After(l.IssuedAt.Add(p.opts.Leeway))
}
