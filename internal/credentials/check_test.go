package credentials_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/credentials"
)

// invalid makes errors that begin with the field.
func invalid(field, format string, args ...any) error {
	return fmt.Errorf(field+": "+format, args...)
}

func TestConfigOfCookies(t *testing.T) {
	names := func(n ...credentials.Names) credentials.Former { return credentials.Former{Names: n} }
	scopes := func(s ...credentials.Scope) credentials.Former { return credentials.Former{Scopes: s} }
	for field, change := range map[string]func(*config){
		"Name: ":             func(c *config) { c.Name = "a b" },
		"ClientName: ":       func(c *config) { c.ClientName = strings.Repeat("x", 65) },
		"ClientName: the sa": func(c *config) { c.ClientName = c.Name },
		"Name: \"__Secure-a": func(c *config) { c.Name = "__Secure-a" },
		"Path: ":             func(c *config) { c.Path = "app" },
		"Domain: ":           func(c *config) { c.Domain = "a b" },
		"SameSite: ":         func(c *config) { c.SameSite = 9 },

		"FormerNames: 8":             func(c *config) { c.Former = names(make([]credentials.Names, 8)...) },
		"FormerNames[0].Name: ":      func(c *config) { c.Former = names(credentials.Names{"a b", "c"}) },
		"FormerNames[1].ClientName:": func(c *config) { c.Former = names(credentials.Names{"a", "c"}, credentials.Names{"b", ""}) },
		"FormerNames[0]: ":           func(c *config) { c.Former = names(credentials.Names{c.Name, c.ClientName}) },
		"FormerNames: \"a\" is":      func(c *config) { c.Former = names(credentials.Names{"a", "b"}, credentials.Names{"c", "a"}) },
		"FormerScopes: 8":            func(c *config) { c.Former = scopes(make([]credentials.Scope, 8)...) },
		"FormerScopes[0].Path: ":     func(c *config) { c.Former = scopes(credentials.Scope{"", "x"}) },
		"FormerScopes[0]: ":          func(c *config) { c.Former = scopes(credentials.Scope{c.Domain, c.Path}) },
	} {
		cfg := config{Name: "sid", ClientName: "sid.cid", Path: "/", SameSite: http.SameSiteLaxMode}
		require.NoError(t, cfg.Check(invalid, false))
		change(&cfg)
		require.ErrorContains(t, cfg.Check(invalid, false), field)
	}
}

func TestPrefixIsAllowedIfAllRequestsAreSecure(t *testing.T) {
	cfg := config{Name: "__Host-sid", ClientName: "cid", Path: "/", SameSite: http.SameSiteLaxMode}
	require.ErrorContains(t, cfg.Check(invalid, false), "Name: ")
	require.NoError(t, cfg.Check(invalid, true))
	cfg.Domain = "example.com"
	require.ErrorContains(t, cfg.Check(invalid, true), "Name: ")
	cfg.Name = "__Secure-sid"
	require.NoError(t, cfg.Check(invalid, true))
}

func TestKeysAreCopied(t *testing.T) {
	keys := [][]byte{key("a"), key("b")}
	copied, err := credentials.CopyKeys(keys, invalid)
	require.NoError(t, err)
	keys[0][0] = 'x'
	require.Equal(t, [][]byte{key("a"), key("b")}, copied)
	_, err = credentials.CopyKeys([][]byte{key("a"), {1}}, invalid)
	require.ErrorContains(t, err, "Keys[1]: 1 bytes")
	_, err = credentials.CopyKeys([][]byte{}, invalid)
	require.ErrorContains(t, err, "Keys: ")
}
