package credentials_test

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/credentials"
)

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
			all[i], failures[i] = credentials.LoadOrCreateKeys(path)
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
		_, err := credentials.LoadOrCreateKeys(path)
		require.NoError(t, err)
		require.NoError(t, os.Chmod(path, mode))
		_, err = credentials.LoadOrCreateKeys(path)
		require.ErrorContains(t, err, path)
		require.ErrorContains(t, err, "chmod 600")
	}
}

func TestKeyFileThatIsNoFileIsRefused(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "keys")
	_, err := credentials.LoadOrCreateKeys(path)
	require.NoError(t, err)
	link := filepath.Join(dir, "link")
	require.NoError(t, os.Symlink(path, link))
	_, err = credentials.LoadOrCreateKeys(link)
	require.ErrorContains(t, err, "not a regular file")
	dangling := filepath.Join(dir, "dangling")
	require.NoError(t, os.Symlink(filepath.Join(dir, "nothing"), dangling))
	_, err = credentials.LoadOrCreateKeys(dangling)
	require.ErrorContains(t, err, "not a regular file")
	_, err = os.Stat(filepath.Join(dir, "nothing"))
	require.ErrorIs(t, err, os.ErrNotExist, "nothing is written through a link")
	_, err = credentials.LoadOrCreateKeys(dir)
	require.Error(t, err)
	_, err = credentials.LoadOrCreateKeys(filepath.Join(dir, "no", "such", "folder", "keys"))
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
			keys, err := credentials.LoadOrCreateKeys(path)
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

func TestKeysInAFolderThatIsMissing(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "missing")
	_, err := credentials.LoadOrCreateKeys(filepath.Join(folder, "keys"))
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, err, "there is no folder "+folder+": create it")
}
