package bridge

import (
	"errors"
	"net/http"
	"reflect"

	"github.com/sessionbridge/sessionbridge/internal/credentials"
)

// responseBegun reports whether a response has begun that the Bridge has not let pass: it was
// written to a ResponseWriter below ours, so its headers have left. Not every ResponseWriter tells
// that: those of gin, negroni, chi and echo do.
func responseBegun(w http.ResponseWriter) bool {
	for w != nil {
		switch t := w.(type) {
		case interface{ Written() bool }: // gin, negroni
			return t.Written()
		case interface{ BytesWritten() int }: // chi
			if t.BytesWritten() > 0 {
				return true
			}
		case interface {
			Before(func())
			After(func())
		}: // echo, which tells it by a field
			committed := reflect.Indirect(reflect.ValueOf(w)).FieldByName("Committed")
			return committed.Kind() == reflect.Bool && committed.Bool()
		}
		below, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return false
		}
		w = below.Unwrap()
	}
	return false
}

// bypassed is called in place of the first commit when the response has begun without it. What
// needs no cookie is stored. The rest is an error, and the response, which says otherwise, is
// aborted.
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

// sendHeader sends the header of a response whose status has been written, where the framework
// below puts that off until there is a body: of an upgrade there is none. gin does, and has this
// method for it.
func sendHeader(w http.ResponseWriter) {
	for w != nil {
		if late, ok := w.(interface{ WriteHeaderNow() }); ok {
			late.WriteHeaderNow()
			return
		}
		below, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return
		}
		w = below.Unwrap()
	}
}
