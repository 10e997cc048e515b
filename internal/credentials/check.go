package credentials

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// Invalid makes the error of an invalid field of the Bridge's options. The fields of Former are
// "FormerNames[0].Name" and the like.
type Invalid = func(field, format string, args ...any) error

// maxFormer limits Former.Names and Former.Scopes: a response may have to remove the cookies of
// each combination.
const maxFormer = 7

// Check returns the error of names, scopes or a SameSite that cookies can't have, and of
// ClearSiteData that browsers don't know. secure says that
// all requests are secure.
func (c *Config) Check(invalid Invalid, secure bool) error {
	for _, f := range []struct{ field, name string }{{"Name", c.Name}, {"ClientName", c.ClientName}} {
		if err := checkName(invalid, f.field, f.name); err != nil {
			return err
		}
		if strings.HasPrefix(f.name, "__") &&
			(!secure || strings.HasPrefix(f.name, hostPrefix) && !hostPrefixAllowed(c.Path, c.Domain)) {
			return invalid(f.field, "%q has a prefix that is not always allowed; __Host- is added where it is", f.name)
		}
	}
	if c.Name == c.ClientName {
		return invalid("ClientName", "the same as Name, %q", c.Name)
	}
	scope := Scope{c.Domain, c.Path}
	if err := errors.Join(scope.check(invalid, ""), c.checkFormer(invalid)); err != nil {
		return err
	}
	if c.SameSite < http.SameSiteDefaultMode || c.SameSite > http.SameSiteNoneMode {
		return invalid("SameSite", "%d is not one of http.SameSite's", c.SameSite)
	}
	for i, what := range c.ClearSiteData {
		if !slices.Contains([]string{"cache", "cookies", "storage", "executionContexts", "*"}, what) {
			return invalid(fmt.Sprintf("ClearSiteData[%d]", i),
				`%q is none of "cache", "cookies", "storage", "executionContexts" and "*"`, what)
		}
	}
	return nil
}

func checkName(invalid Invalid, field, name string) error {
	if c := (http.Cookie{Name: name, Value: "x"}); c.Valid() != nil || len(name) > 64 {
		return invalid(field, "%q is no cookie name of at most 64 bytes", name)
	}
	return nil
}

// check checks a scope whose fields are below prefix.
func (s Scope) check(invalid Invalid, prefix string) error {
	if c := (http.Cookie{Name: "x", Path: s.Path}); c.Valid() != nil || s.Path[0] != '/' {
		return invalid(prefix+"Path", "%q is no cookie path (it starts with /)", s.Path)
	}
	if c := (http.Cookie{Name: "x", Domain: s.Domain}); s.Domain != "" && c.Valid() != nil {
		return invalid(prefix+"Domain", "%q is no cookie domain", s.Domain)
	}
	return nil
}

func (c *Config) checkFormer(invalid Invalid) error {
	if n := len(c.Former.Names); n > maxFormer {
		return invalid("FormerNames", "%d entries, the limit is %d", n, maxFormer)
	}
	if n := len(c.Former.Scopes); n > maxFormer {
		return invalid("FormerScopes", "%d entries, the limit is %d", n, maxFormer)
	}
	sessions, clients := []string{c.Name}, []string{c.ClientName}
	for i, n := range c.Former.Names {
		field := fmt.Sprintf("FormerNames[%d]", i)
		err := errors.Join(
			checkName(invalid, field+".Name", n.Session), checkName(invalid, field+".ClientName", n.Client))
		if err != nil {
			return err
		}
		if n == (Names{c.Name, c.ClientName}) {
			return invalid(field, "%q and %q are the present names", n.Session, n.Client)
		}
		sessions, clients = append(sessions, n.Session), append(clients, n.Client)
	}
	for _, name := range sessions {
		if slices.Contains(clients, name) {
			return invalid("FormerNames", "%q is the name of a session cookie and of a client cookie", name)
		}
	}
	for i, s := range c.Former.Scopes {
		field := fmt.Sprintf("FormerScopes[%d]", i)
		if err := s.check(invalid, field+"."); err != nil {
			return err
		}
		if s == (Scope{c.Domain, c.Path}) {
			return invalid(field, "%q and %q are the present Domain and Path", s.Domain, s.Path)
		}
	}
	return nil
}

// CopyKeys returns a copy of the keys, or the error of keys that can't be used.
func CopyKeys(keys [][]byte, invalid Invalid) ([][]byte, error) {
	if len(keys) == 0 {
		return nil, invalid("Keys", "an empty list; nil in New means a random key")
	}
	keys = slices.Clone(keys)
	for i, key := range keys {
		if len(key) < MinKeyBytes {
			return nil, invalid(fmt.Sprintf("Keys[%d]", i), "%d bytes, at least %d are needed", len(key), MinKeyBytes)
		}
		if first := slices.IndexFunc(keys[:i], func(k []byte) bool { return bytes.Equal(k, key) }); first >= 0 {
			return nil, invalid(fmt.Sprintf("Keys[%d]", i), "the same key as Keys[%d]: remove one of the two", first)
		}
		keys[i] = slices.Clone(key)
	}
	return keys, nil
}
