package main

import (
	"errors"
	"net/http"
	"time"

	"github.com/sessionbridge/sessionbridge/bridge"
)

// recentLogin is the maximum age of a login for signing out everywhere, so that finding an open
// browser isn't enough to lock out its user.
const recentLogin = 5 * time.Minute

// codeClosedByUser closes a socket from the list of devices. It is above 4500, so that the page
// doesn't reconnect by itself.
const codeClosedByUser = 4600

// counted is an answer with the number of sessions or sockets that were reached.
type counted struct {
	OK    bool `json:"ok"`
	Count int  `json:"count"`
}

// loggedIn returns the request's session, which must have a user.
func (a *app) loggedIn(r *http.Request) (*bridge.Session, error) {
	s, err := a.bridge.Session(r)
	if err == nil && s.UserID() == "" {
		err = errNobody
	}
	return s, err
}

// getDevices lists the user's devices, and which of them sent the request.
func (a *app) getDevices(r *http.Request) (any, error) {
	s, err := a.loggedIn(r)
	if err != nil {
		return nil, err
	}
	devices, err := a.devices(r.Context(), owner{user: s.UserID()})
	return struct {
		OK        bool     `json:"ok"`
		SessionID string   `json:"sessionId"`
		Devices   []device `json:"devices"`
	}{true, s.ID(), devices}, err
}

// postSignOut ends one of the user's sessions. The answer for another user's session is the same as
// for one that doesn't exist, so that it reveals no IDs.
func (a *app) postSignOut(r *http.Request) (any, error) {
	s, err := a.loggedIn(r)
	if err != nil {
		return nil, err
	}
	var in signOutRequest
	if err := readJSON(r, &in); err != nil {
		return nil, err
	}
	if in.Device == s.ID() {
		s.Logout()
		return counted{true, 1}, nil
	}
	other, err := a.bridge.GetByID(r.Context(), in.Device)
	if errors.Is(err, bridge.ErrSessionMissing) || err == nil && other.UserID() != s.UserID() {
		return nil, errNoDevice
	}
	if err != nil {
		return nil, err
	}
	ended, err := a.bridge.DestroyByID(r.Context(), in.Device)
	if err == nil && !ended { // the session has just ended for another reason
		err = errNoDevice
	}
	return counted{true, 1}, err
}

// postSignOutOthers ends all sessions of the user except this one.
func (a *app) postSignOutOthers(r *http.Request) (any, error) {
	s, err := a.loggedIn(r)
	if err != nil {
		return nil, err
	}
	n, err := a.bridge.DestroyUser(r.Context(), s.UserID(), s.ID())
	return counted{true, n}, err
}

// postSignOutEverywhere ends all sessions of the user, this one last: if another one can't be
// ended, the user can try again.
func (a *app) postSignOutEverywhere(r *http.Request) (any, error) {
	s, err := a.loggedIn(r)
	if err != nil {
		return nil, err
	}
	if err := s.RequireAuthAge(recentLogin); err != nil {
		return nil, err
	}
	n, err := a.bridge.DestroyUser(r.Context(), s.UserID(), s.ID())
	if err != nil {
		return nil, err
	}
	s.Logout()
	return counted{true, n + 1}, nil
}

// postClose closes one of the user's sockets. The session continues.
func (a *app) postClose(r *http.Request) (any, error) {
	s, err := a.loggedIn(r)
	if err != nil {
		return nil, err
	}
	var in closeRequest
	if err := readJSON(r, &in); err != nil {
		return nil, err
	}
	for c, err := range a.bridge.Conns(r.Context(), bridge.ConnFilter{UserID: s.UserID()}) {
		if err != nil {
			return nil, err
		}
		if c.ID != in.Socket {
			continue
		}
		closed, err := a.bridge.CloseConn(r.Context(), c.ID, codeClosedByUser, "closed by its user")
		if closed || err != nil {
			return counted{true, 1}, err
		}
	}
	return nil, errNoSocket
}

// keepText is how long a page that is disconnected may take to come back for a text.
const keepText = 10 * time.Minute

// postNotify shows a text on all of the user's pages, also on those that are disconnected just now.
func (a *app) postNotify(r *http.Request) (any, error) {
	s, err := a.loggedIn(r)
	if err != nil {
		return nil, err
	}
	var in notifyRequest
	if err := readJSON(r, &in); err != nil {
		return nil, err
	}
	message := push{Event: "notify", Text: in.Text, From: inWords(r.UserAgent())}
	err = a.bridge.NotifyKept(r.Context(), bridge.To{UserID: s.UserID()}, keepText, message.bytes())
	return struct {
		OK bool `json:"ok"`
	}{true}, err
}
