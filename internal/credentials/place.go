package credentials

import (
	"slices"
	"strings"
)

// Former says where browsers may still have the cookies: each name, also the present one, may have
// been set in each scope, also the present one.
type Former struct {
	Names  []Names
	Scopes []Scope
}

// Names are the names of the two cookies, without a prefix.
type Names struct{ Session, Client string }

func (n Names) session() string { return n.Session }
func (n Names) client() string  { return n.Client }

// Scope says which requests a cookie is sent with.
type Scope struct{ Domain, Path string }

// hostPrefix begins the name of a cookie that only its own host can set, over HTTPS (RFC 6265bis
// §4.1.3.2). A sibling host can't add one of that name.
const hostPrefix = "__Host-"

// hostPrefixAllowed reports whether a cookie with the path and the domain may have the hostPrefix.
func hostPrefixAllowed(path, domain string) bool { return path == "/" && domain == "" }

// slot is one place for a cookie in a browser. A browser keeps cookies of one name beside each
// other if their scopes differ.
type slot struct {
	Scope
	insecure, secure string // the names for insecure and for secure requests
}

// newSlot returns the slot of a cookie: for secure requests with the hostPrefix where it is
// allowed.
func newSlot(name string, at Scope) slot {
	if hostPrefixAllowed(at.Path, at.Domain) && !strings.HasPrefix(name, "__") {
		return slot{at, name, hostPrefix + name}
	}
	return slot{at, name, name}
}

func (s *slot) of(secure bool) string {
	if secure {
		return s.secure
	}
	return s.insecure
}

// place is where a cookie is set, and where browsers may still have it.
type place struct {
	slot
	former []slot
	names  [2][]string // that are read for insecure and for secure requests: the present one first
}

// newPlace returns the place of the cookie whose name nameOf returns.
func newPlace(cfg *Config, nameOf func(Names) string) place {
	var all []slot
	scopes := append([]Scope{{cfg.Domain, cfg.Path}}, cfg.Former.Scopes...)
	for _, n := range append([]Names{{cfg.Name, cfg.ClientName}}, cfg.Former.Names...) {
		for _, at := range scopes {
			if s := newSlot(nameOf(n), at); !slices.Contains(all, s) {
				all = append(all, s)
			}
		}
	}
	p := place{slot: all[0], former: all[1:]}
	for _, s := range all {
		for i, name := range []string{s.insecure, s.secure} {
			if !slices.Contains(p.names[i], name) {
				p.names[i] = append(p.names[i], name)
			}
		}
	}
	return p
}

// hostOnly reports whether a cookie of the name has the hostPrefix, as the present one does. A cookie
// of a former scope without it may come from a sibling host, or from plain HTTP.
func (p *place) hostOnly(secure bool, name string) bool {
	return strings.HasPrefix(p.of(secure), hostPrefix) && strings.HasPrefix(name, hostPrefix)
}

// hostFirst compares two cookies: one that is Host comes first.
func hostFirst(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

// read returns the names under which the cookie is read, the present one first.
func (p *place) read(secure bool) []string {
	if secure {
		return p.names[1]
	}
	return p.names[0]
}
