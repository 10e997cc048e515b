package main

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"

	"github.com/sessionbridge/sessionbridge/bridge"
)

// answer is the answer to a successful request; failure is the other one.
type answer struct {
	OK bool `json:"ok"`
	snapshot
}

// getSession creates the session if there is none.
func (a *app) getSession(r *http.Request) (any, error) {
	return a.change(r, begin)
}

func (a *app) postIncrement(r *http.Request) (any, error) {
	var in incrementRequest
	if err := readJSON(r, &in); err != nil {
		return nil, err
	}
	return a.change(r, increment(httpCount, *in.By))
}

// postLogin accepts any user: a real application checks a password here.
func (a *app) postLogin(r *http.Request) (any, error) {
	var in loginRequest
	if err := readJSON(r, &in); err != nil {
		return nil, err
	}
	return a.change(r, login(in.User))
}

// postLogout also succeeds without a session, because then no user is logged in either.
func (a *app) postLogout(r *http.Request) (any, error) {
	err := logout(r.Context(), a.bridge.For(r))
	clientID, _ := bridge.ClientIDFrom(r.Context())
	return answer{true, noSession(clientID)}, err
}

func noSuchRoute(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusNotFound, failure{Error: "use GET /api/session or /api/devices, or POST /api/increment, " +
		"/api/login, /api/logout, /api/signout, /api/signout/others, /api/signout/everywhere, /api/close or /api/notify"})
}

// change changes the request's session, which is created if there is none.
func (a *app) change(r *http.Request, do change) (any, error) {
	now, err := apply(r.Context(), a.bridge.For(r), do)
	return answer{true, now}, err
}

// readJSON reads the request's body into dst, and validates it.
func readJSON(r *http.Request, dst interface{ check() error }) error {
	data, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxMessage))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return errTooLarge
	case err != nil:
		return badRequestf("the request's body could not be read")
	}
	if err := decode(data, dst); err != nil {
		return err
	}
	return dst.check()
}

// jsonHandler answers with the result of the function. Nothing is written before the session is
// stored.
type jsonHandler func(r *http.Request) (any, error)

func (h jsonHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	reply, err := h(r)
	if err != nil {
		fail, status := failureOf(err)
		writeJSON(w, status, fail)
		return
	}
	writeJSON(w, http.StatusOK, reply)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // an error means that the client has disconnected
}
