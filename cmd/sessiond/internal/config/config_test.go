package config_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/cmd/sessiond/internal/config"
)

func file(t *testing.T, text string) *config.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "sessiond.yaml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return &config.File{Path: path}
}

func TestValuesAreTextsAsOnTheCommandLine(t *testing.T) {
	f := file(t, `
store: file:/var/lib/x.db # a comment
idle-timeout: 12h
audit: true
max: 010
trusted-proxy: [10.0.0.0/8, "unix"]
empty: ""
`)
	for name, want := range map[string]string{
		"store": "file:/var/lib/x.db", "idle-timeout": "12h", "audit": "true", "max": "010",
		"trusted-proxy": "10.0.0.0/8,unix", "empty": "",
	} {
		got, ok := f.Value(name).Lookup()
		require.True(t, ok, name)
		require.Equal(t, want, got, name)
	}
	_, ok := f.Value("absent").Lookup()
	require.False(t, ok)
	require.NoError(t, f.Check([]string{"store", "idle-timeout", "audit", "max", "trusted-proxy", "empty"}))
	require.ErrorContains(t, f.Check([]string{"store"}), `there is no setting "audit"`)
}

func TestFileThatCannotBeUsed(t *testing.T) {
	for text, says := range map[string]string{
		"store: a\nstore: b":   "already defined",
		"store: {a: b}":        "line 1: store: the value must be a text or a list",
		"store:\n- {a: b}":     "an item must be a text",
		"origin: ['a,b']":      "without commas",
		"just a text":          "cannot unmarshal",
		"store: *x":            "unknown anchor",
		"store: a\n---\nb: c":  "more than one document",
		"- store":              "cannot unmarshal",
		"store: a\n\tother: b": "yaml",
	} {
		f := file(t, text)
		_, ok := f.Value("store").Lookup()
		require.False(t, ok, text)
		require.ErrorContains(t, f.Check([]string{"store", "origin"}), says, text)
	}
	missing := &config.File{Path: filepath.Join(t.TempDir(), "none")}
	require.ErrorIs(t, missing.Check(nil), os.ErrNotExist)
}

func TestNoFileHasNoValues(t *testing.T) {
	var f config.File
	_, ok := f.Value("store").Lookup()
	require.False(t, ok)
	require.NoError(t, f.Check(nil))
}
