package security_test

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

func TestS21_KeyFileIsCreatedForItsOwnerOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	keys, err := bridge.LoadOrCreateKeys(path)
	require.NoError(t, err)
	require.Len(t, keys, 1)
	require.GreaterOrEqual(t, len(keys[0]), 32)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode())
	again, err := bridge.LoadOrCreateKeys(path)
	require.NoError(t, err)
	require.Equal(t, keys, again)
	files, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.Len(t, files, 1, "nothing is left lying about")
	other, err := bridge.LoadOrCreateKeys(filepath.Join(t.TempDir(), "keys"))
	require.NoError(t, err)
	require.NotEqual(t, keys, other)
}

// An error of a function that reads keys begins as all of the package's do.
func TestErrorsOfKeysNameThePackage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	_, err := bridge.LoadKeys(path)
	require.ErrorContains(t, err, "bridge: key file "+path+": ")
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = bridge.ParseKeys("")
	require.EqualError(t, err, "bridge: keys: no key in it")
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	_, err = bridge.LoadOrCreateKeys(path)
	require.EqualError(t, err, "bridge: key file "+path+": no key in it")
	require.NoError(t, os.WriteFile(path, []byte(strings.Repeat("QUJD", 11)+"\n"), 0o600))
	keys, err := bridge.LoadKeys(path)
	require.NoError(t, err)
	require.Len(t, keys, 1)
}

// To replace a key the new one goes in front, and the old one stays as long as its cookies are to
// be valid.
func TestNewKeySignsAndOldKeyStillVerifies(t *testing.T) {
	old, next := []byte(strings.Repeat("o", 32)), []byte(strings.Repeat("n", 32))
	st := livestore.New()
	handler := func(keys ...[]byte) http.Handler {
		a := testkit.NewApp(t, st, &bridge.Options{Keys: keys})
		return a.Handler(a.Mux)
	}
	before, during, after := handler(old), handler(next, old), handler(next)
	visitor := webclient.Pocket{}
	visitor.Get(t, before, "/inc")
	require.Equal(t, "2", visitor.Get(t, during, "/inc").Body.String())
	oldCookie := visitor["sid"]
	visitor.Get(t, during, "/rotate")
	require.NotEqual(t, oldCookie, visitor["sid"])
	require.Equal(t, "3", visitor.Get(t, after, "/inc").Body.String(), "the new key has signed it")
	require.Equal(t, "0", visitor.Get(t, before, "/get").Body.String())
	late := webclient.Pocket{"sid": oldCookie}
	require.Equal(t, "0", late.Get(t, after, "/get").Body.String())
	require.True(t, slices.Equal(next, []byte(strings.Repeat("n", 32))), "the caller's keys are not touched")
}
