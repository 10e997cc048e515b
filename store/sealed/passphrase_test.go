package sealed_test

import (
	"encoding/base64"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store/sealed"
)

var phrase = []byte("correct horse battery staple")

func TestS17_PassphraseKeyDependsOnPassphraseAndSalt(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "salt")
	key, err := sealed.PassphraseKey(phrase, path)
	require.NoError(t, err)
	require.Len(t, key, sealed.MinKeyBytes)
	info, err := os.Stat(path)
	require.NoError(t, err)
	if runtime.GOOS != "windows" {
		require.Equal(t, fs.FileMode(0o600), info.Mode().Perm())
	}
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Regexp(t, `^sessionbridge argon2id v=19 m=65536 t=3 p=4 [A-Za-z0-9+/]{22}==\n$`, string(text))

	again, err := sealed.PassphraseKey(phrase, path)
	require.NoError(t, err)
	require.Equal(t, key, again)
	other, err := sealed.PassphraseKey([]byte("correct horse battery stable"), path)
	require.NoError(t, err)
	require.NotEqual(t, key, other)
	salted, err := sealed.PassphraseKey(phrase, filepath.Join(dir, "other"))
	require.NoError(t, err)
	require.NotEqual(t, key, salted)
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, left, 2, "no temporary file is left")

	inner := livestore.New()
	st, err := sealed.New(inner, [][]byte{key}, nil)
	require.NoError(t, err)
	rec := create(t, st)
	wrong, err := sealed.New(inner, [][]byte{other}, quiet())
	require.NoError(t, err)
	requireUnopenable(t, wrong, inner, rec.ID)
}

func TestSaltFilesThatAreRefused(t *testing.T) {
	salt := base64.StdEncoding.EncodeToString([]byte("0123456789abcdef"))
	for name, c := range map[string]struct{ text, says string }{
		"empty":      {"", "damaged"},
		"other":      {"{}", "damaged"},
		"more":       {"sessionbridge argon2id v=19 m=65536 t=3 p=4 " + salt + " x", "damaged"},
		"no base64":  {"sessionbridge argon2id v=19 m=65536 t=3 p=4 !", "damaged"},
		"signs":      {"sessionbridge argon2id v=19 m=65536 t=+3 p=4 " + salt, "damaged"},
		"short salt": {"sessionbridge argon2id v=19 m=65536 t=3 p=4 c2FsdA==", "too short"},
		"memory":     {"sessionbridge argon2id v=19 m=1024 t=3 p=4 " + salt, "weaker"},
		"one pass":   {"sessionbridge argon2id v=19 m=65536 t=1 p=4 " + salt, "weaker"},
		"no pass":    {"sessionbridge argon2id v=19 m=65536 t=0 p=4 " + salt, "out of range"},
		"no lane":    {"sessionbridge argon2id v=19 m=65536 t=3 p=0 " + salt, "out of range"},
		"too much":   {"sessionbridge argon2id v=19 m=4294967295 t=3 p=4 " + salt, "out of range"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "salt")
			require.NoError(t, os.WriteFile(path, []byte(c.text), 0o600))
			_, err := sealed.PassphraseKey(phrase, path)
			require.ErrorContains(t, err, c.says)
			text, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Equal(t, c.text, string(text), "it is not replaced")
		})
	}
}

func TestS21_SaltFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "salt")
	require.NoError(t, sealed.CreateSalt(path))
	require.ErrorIs(t, sealed.CreateSalt(path), fs.ErrExist, "a file is never replaced")
	link := filepath.Join(dir, "link")
	require.NoError(t, os.Symlink(path, link))
	_, err := sealed.PassphraseKey(phrase, link)
	require.ErrorContains(t, err, "not a regular file")
	if runtime.GOOS != "windows" {
		require.NoError(t, os.Chmod(path, 0o666))
		_, err = sealed.PassphraseKey(phrase, path)
		require.ErrorContains(t, err, "chmod")
	}
	_, err = sealed.PassphraseKey(phrase, filepath.Join(dir, "none", "salt"))
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = sealed.PassphraseKey([]byte("too short"), filepath.Join(dir, "unused"))
	require.ErrorContains(t, err, fmt.Sprint(sealed.MinPassphraseBytes))
	require.NoFileExists(t, filepath.Join(dir, "unused"))
}
