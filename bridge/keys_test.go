package bridge_test

import (
	"encoding/base64"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
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

func TestConcurrentCreatorsGetOneKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	const creators = 16
	var all [creators][][]byte
	var failures [creators]error
	start := make(chan struct{})
	var running sync.WaitGroup
	for i := range creators {
		running.Go(func() {
			<-start
			all[i], failures[i] = bridge.LoadOrCreateKeys(path)
		})
	}
	close(start)
	running.Wait()
	for i := range creators {
		require.NoError(t, failures[i])
		require.Equal(t, all[0], all[i])
	}
}

func TestKeyFileThatOthersCanReachIsRefused(t *testing.T) {
	for _, mode := range []os.FileMode{0o640, 0o604, 0o620, 0o602, 0o660, 0o644, 0o610, 0o777} {
		path := filepath.Join(t.TempDir(), "keys")
		_, err := bridge.LoadOrCreateKeys(path)
		require.NoError(t, err)
		require.NoError(t, os.Chmod(path, mode))
		_, err = bridge.LoadOrCreateKeys(path)
		require.ErrorContains(t, err, path)
		require.ErrorContains(t, err, "chmod 600")
	}
}

func TestKeyFileThatIsNoFileIsRefused(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "keys")
	_, err := bridge.LoadOrCreateKeys(path)
	require.NoError(t, err)
	link := filepath.Join(dir, "link")
	require.NoError(t, os.Symlink(path, link))
	_, err = bridge.LoadOrCreateKeys(link)
	require.ErrorContains(t, err, "not a regular file")
	dangling := filepath.Join(dir, "dangling")
	require.NoError(t, os.Symlink(filepath.Join(dir, "nothing"), dangling))
	_, err = bridge.LoadOrCreateKeys(dangling)
	require.ErrorContains(t, err, "not a regular file")
	_, err = os.Stat(filepath.Join(dir, "nothing"))
	require.ErrorIs(t, err, os.ErrNotExist, "nothing is written through a link")
	_, err = bridge.LoadOrCreateKeys(dir)
	require.Error(t, err)
	_, err = bridge.LoadOrCreateKeys(filepath.Join(dir, "no", "such", "folder", "keys"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestKeyFileFormat(t *testing.T) {
	line := func(c string, n int) string { return base64.StdEncoding.EncodeToString([]byte(strings.Repeat(c, n))) }
	one, two := line("1", 64), line("2", 32)
	for name, c := range map[string]struct {
		text string
		keys int
		err  string
	}{
		"two keys":       {one + "\n" + two + "\n", 2, ""},
		"no last break":  {one, 1, ""},
		"other system":   {one + "\r\n" + two + "\r\n", 2, ""},
		"comments":       {"# new\n" + one + "\n\n  # old\n" + two + "\n", 2, ""},
		"garbage":        {one + "\nthis is no key\n", 0, "line 2"},
		"garbage, third": {one + "\n\n" + "!\n", 0, "line 3"},
		"short":          {line("1", 31), 0, "line 1"},
		"truncated":      {one[:len(one)-1], 0, "line 1"},
		"empty":          {"", 0, "no key"},
		"comments only":  {"# nothing\n", 0, "no key"},
		"binary":         {"\x00\xff\n", 0, "line 1"},
		"one huge line":  {strings.Repeat("A", 1<<20), 0, "key"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "keys")
			require.NoError(t, os.WriteFile(path, []byte(c.text), 0o600))
			keys, err := bridge.LoadOrCreateKeys(path)
			if c.err == "" {
				require.NoError(t, err)
				require.Len(t, keys, c.keys)
				require.Equal(t, []byte(strings.Repeat("1", 64)), keys[0])
			} else {
				require.ErrorContains(t, err, path)
				require.ErrorContains(t, err, c.err)
				require.NotContains(t, err.Error(), "this is no key", "what is in the file is secret")
			}
			data, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Equal(t, c.text, string(data), "the file is left alone")
		})
	}
}

// To replace a key the new one goes in front, and the old one stays as long as its cookies are to be valid.
func TestNewKeySignsAndOldKeyStillVerifies(t *testing.T) {
	old, next := []byte(strings.Repeat("o", 32)), []byte(strings.Repeat("n", 32))
	st := livestore.New()
	handler := func(keys ...[]byte) http.Handler {
		a := makeApp(t, st, &bridge.Options{Keys: keys})
		return a.Handler(a.mux)
	}
	before, during, after := handler(old), handler(next, old), handler(next)
	visitor := pocket{}
	visitor.get(t, before, "/inc")
	require.Equal(t, "2", visitor.get(t, during, "/inc").Body.String())
	oldCookie := visitor["sid"]
	visitor.get(t, during, "/rotate")
	require.NotEqual(t, oldCookie, visitor["sid"])
	require.Equal(t, "3", visitor.get(t, after, "/inc").Body.String(), "the new key has signed it")
	require.Equal(t, "0", visitor.get(t, before, "/get").Body.String())
	late := pocket{"sid": oldCookie}
	require.Equal(t, "0", late.get(t, after, "/get").Body.String())
	require.True(t, slices.Equal(next, []byte(strings.Repeat("n", 32))), "the caller's keys are not touched")
}
