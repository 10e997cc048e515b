package registry

import (
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Most bytes of what an application may choose for a connection.
const (
	MaxID   = 100
	MaxName = 100
)

// ValidID reports whether an application may choose id: 1 to MaxID letters, digits, _ and -.
func ValidID(id string) bool {
	return id != "" && len(id) <= MaxID && !strings.ContainsFunc(id, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' && c != '-'
	})
}

// ValidName reports whether an application may choose name: at most MaxName bytes of UTF-8 without
// control characters.
func ValidName(name string) bool {
	return len(name) <= MaxName && utf8.ValidString(name) && !strings.ContainsFunc(name, unicode.IsControl)
}

// namesakes returns the connections whose place one with the name of e takes. ErrNameInUse. The
// lock is held.
func (r *Registry[L]) namesakes(e *Entry) (leaving []L, err error) {
	if e.Name == "" || e.Naming == ShareName {
		return nil, nil
	}
	leaving = slices.DeleteFunc(slices.Collect(maps.Keys(r.byName[e.Name])), r.cfg.Ended)
	if len(leaving) > 0 && e.Naming == RefuseName {
		return nil, ErrNameInUse
	}
	return leaving, nil
}

// enterName puts the connection among those with its name. The lock is held.
func (r *Registry[L]) enterName(l L) {
	name := r.cfg.Entry(l).Name
	if name == "" {
		return
	}
	if r.byName[name] == nil {
		r.byName[name] = make(map[L]struct{})
	}
	r.byName[name][l] = struct{}{}
}

// leaveName takes the connection from those with its name. The lock is held.
func (r *Registry[L]) leaveName(l L) {
	name := r.cfg.Entry(l).Name
	if others := r.byName[name]; others != nil {
		if delete(others, l); len(others) == 0 {
			delete(r.byName, name)
		}
	}
}

// Named returns the connections with a name.
func (r *Registry[L]) Named(name string) []L {
	defer r.mu.RLock(name).RUnlock()
	return slices.Collect(maps.Keys(r.byName[name]))
}
