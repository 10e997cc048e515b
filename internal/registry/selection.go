package registry

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Selection selects connections: those of a session, of a client, of a user or of a name, all, or
// those with the IDs Conns. Exactly one of these is set.
type Selection struct {
	SessionID, ClientID, UserID string
	Name                        string
	All                         bool
	Conns                       []string
	Except                      string // the ID of a connection that isn't selected; not with Conns
}

// Check returns an error unless the selection is valid. The bridge returns it, hence the prefix.
func (s *Selection) Check() error {
	var set []string
	for _, f := range []struct {
		name string
		set  bool
	}{
		{"SessionID", s.SessionID != ""},
		{"ClientID", s.ClientID != ""},
		{"UserID", s.UserID != ""},
		{"Name", s.Name != ""},
		{"All", s.All},
		{"Conns", len(s.Conns) > 0},
	} {
		if f.set {
			set = append(set, f.name)
		}
	}
	switch {
	case len(set) == 0:
		return errors.New("bridge: To has no receiver: set exactly one of SessionID, ClientID, UserID, Name, All and Conns")
	case len(set) > 1:
		return fmt.Errorf("bridge: To: %s are set: set exactly one of SessionID, ClientID, UserID, Name, All and Conns",
			strings.Join(set, " and "))
	case len(s.Conns) > 0 && s.Except != "":
		return errors.New("bridge: To.Except is set with Conns: leave the connection out of Conns instead")
	}
	if i := slices.Index(s.Conns, ""); i >= 0 {
		return fmt.Errorf("bridge: To.Conns[%d] is empty: it must be the ID of a connection", i)
	}
	return nil
}

// Select returns the connections that are selected.
func (r *Registry[L]) Select(s *Selection) (selected []L) {
	switch {
	case s.All:
		selected = r.All()
	case s.SessionID != "":
		selected = r.OfSession(s.SessionID)
	case s.ClientID != "":
		selected = r.OfClient(s.ClientID)
	case s.UserID != "":
		selected = r.OfUser(s.UserID)
	case s.Name != "":
		selected = r.Named(s.Name)
	default:
		return r.WithIDs(s.Conns)
	}
	if s.Except != "" {
		selected = slices.DeleteFunc(selected, func(l L) bool { return r.cfg.Entry(l).ID == s.Except })
	}
	return selected
}

// Elsewhere returns what s selects in other registries; false if that can be nothing: a connection
// of this registry is in no other one.
func (r *Registry[L]) Elsewhere(s Selection) (rest Selection, anywhere bool) {
	if s.Except != "" && r.Has(s.Except) {
		s.Except = ""
	}
	if len(s.Conns) == 0 {
		return s, true
	}
	s.Conns = slices.DeleteFunc(slices.Clone(s.Conns), r.Has)
	return s, len(s.Conns) > 0
}

// Filter describes connections that match all its fields; the zero Filter matches every one.
type Filter struct {
	ID, Name                    string
	SessionID, ClientID, UserID string
	Addr                        string        // the address, or what is recorded of it
	OpenFor                     time.Duration // at least that long
	QuietFor                    time.Duration // without a message from the client, at least that long
}

// Check returns an error for a negative duration. The bridge returns it, hence the prefix.
func (f *Filter) Check() error {
	switch {
	case f.OpenFor < 0:
		return fmt.Errorf("bridge: ConnFilter.OpenFor: %v is negative", f.OpenFor)
	case f.QuietFor < 0:
		return fmt.Errorf("bridge: ConnFilter.QuietFor: %v is negative", f.QuietFor)
	}
	return nil
}

// Selection returns one that selects all connections that match, and perhaps others.
func (f *Filter) Selection() *Selection {
	switch {
	case f.SessionID != "":
		return &Selection{SessionID: f.SessionID}
	case f.ClientID != "":
		return &Selection{ClientID: f.ClientID}
	case f.UserID != "":
		return &Selection{UserID: f.UserID}
	}
	return &Selection{All: true}
}

// Find returns the connections that match the filter, and perhaps others.
func (r *Registry[L]) Find(f *Filter) []L {
	s := f.Selection()
	switch {
	case f.ID != "":
		var none L
		if l := r.Get(f.ID); l != none {
			return []L{l}
		}
		return nil
	case f.Name != "":
		return r.Named(f.Name)
	case s.All && f.Addr != "" && !strings.Contains(f.Addr, "/"): // not a network, which Addr may have of a record
		if from, known := r.FromAddr(f.Addr); known {
			return from
		}
	}
	return r.Select(s)
}

// HasNames reports whether the filter's ID and Name are these, if it has them.
func (f *Filter) HasNames(id, name string) bool {
	return (f.ID == "" || id == f.ID) && (f.Name == "" || name == f.Name)
}

// Matches reports whether a connection matches, which has been open and quiet for these times, is
// on this session of this user now, and of whose address this is recorded.
func (f *Filter) Matches(e *Entry, sessionID, userID, recordedAddr string, open, quiet time.Duration) bool {
	return f.HasNames(e.ID, e.Name) && (f.SessionID == "" || sessionID == f.SessionID) &&
		(f.ClientID == "" || e.ClientID == f.ClientID) && (f.UserID == "" || userID == f.UserID) &&
		(f.Addr == "" || e.Addr == f.Addr || recordedAddr == f.Addr) &&
		open >= f.OpenFor && quiet >= f.QuietFor
}
