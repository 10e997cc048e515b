package credentials_test

import (
	"encoding/base64"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/credentials"
)

// keyText is the base64 of a key that is n times the byte c.
func keyText(c string, n int) string {
	return base64.StdEncoding.EncodeToString([]byte(strings.Repeat(c, n)))
}

// Kubernetes mounts a secret as a link to a link to a file, and changes it by replacing the second
// link.
func TestMountedKeysAreRead(t *testing.T) {
	for name, mode := range map[string]os.FileMode{"Docker": 0o444, "Kubernetes": 0o440, "Kubernetes by default": 0o644, "systemd": 0o400, "owner only": 0o600} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			mount := func(version, text string) {
				require.NoError(t, os.Mkdir(filepath.Join(dir, version), 0o700))
				require.NoError(t, os.WriteFile(filepath.Join(dir, version, "keys"), []byte(text), 0o600))
				require.NoError(t, os.Chmod(filepath.Join(dir, version, "keys"), mode))
				require.NoError(t, os.Symlink(version, filepath.Join(dir, "..next")))
				require.NoError(t, os.Rename(filepath.Join(dir, "..next"), filepath.Join(dir, "..data")))
			}
			mount("..2026_01", keyText("1", 32))
			path := filepath.Join(dir, "keys")
			require.NoError(t, os.Symlink(filepath.Join("..data", "keys"), path))
			keys, err := credentials.LoadKeys(path)
			require.NoError(t, err)
			require.Equal(t, [][]byte{[]byte(strings.Repeat("1", 32))}, keys)

			mount("..2026_02", keyText("2", 64)+"\n"+keyText("1", 32)+"\n")
			keys, err = credentials.LoadKeys(path)
			require.NoError(t, err)
			require.Equal(t, [][]byte{[]byte(strings.Repeat("2", 64)), []byte(strings.Repeat("1", 32))}, keys, "the first signs")

			_, err = credentials.LoadOrCreateKeys(path)
			require.ErrorContains(t, err, "LoadKeys", "the error names LoadKeys, which accepts links")
		})
	}
}

func TestMountedKeysFailClosed(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "keys")
	_, err := credentials.LoadKeys(path)
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.ErrorContains(t, err, path)
	require.NoFileExists(t, path)
	_, err = credentials.LoadKeys(dir)
	require.ErrorContains(t, err, "not a regular file")
	require.NoError(t, os.Symlink("nowhere", filepath.Join(dir, "dangling")))
	_, err = credentials.LoadKeys(filepath.Join(dir, "dangling"))
	require.ErrorIs(t, err, fs.ErrNotExist)

	require.NoError(t, os.WriteFile(path, []byte(keyText("1", 32)), 0o600))
	for _, mode := range []os.FileMode{0o620, 0o602, 0o622, 0o666, 0o660} {
		require.NoError(t, os.Chmod(path, mode))
		_, err = credentials.LoadKeys(path)
		require.ErrorContains(t, err, "lets others write it", mode)
		require.ErrorContains(t, err, path)
	}
	require.NoError(t, os.Chmod(path, 0o644))
	_, err = credentials.LoadKeys(path)
	require.NoError(t, err)
	for text, why := range map[string]string{"": "no key", "\n# nothing\n": "no key", keyText("1", 31): "line 1", strings.Repeat(keyText("1", 33)+"\n", 3_000): "more than"} {
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		_, err = credentials.LoadKeys(path)
		require.ErrorContains(t, err, why)
		require.ErrorContains(t, err, path)
	}
}

func TestKeysInAnEnvironmentVariable(t *testing.T) {
	one, two := keyText("1", 32), keyText("2", 64)
	both := [][]byte{[]byte(strings.Repeat("1", 32)), []byte(strings.Repeat("2", 64))}
	for name, text := range map[string]string{
		"lines": one + "\n" + two, "comma": one + "," + two, "comma and space": one + ", " + two, "spaces": " " + one + "  " + two + " ",
		"lines of another system": one + "\r\n" + two + "\r\n", "comments": "# new, first\n" + one + " # since May\n\n  # old\n" + two + "\n", "a comma at the end": one + "," + two + ",\n",
	} {
		keys, err := credentials.ParseKeys(text)
		require.NoError(t, err, name)
		require.Equal(t, both, keys, name)
	}
	for name, c := range map[string]struct{ text, err string }{
		"not set":             {"", "no key"},
		"blank":               {" ,\n", "no key"},
		"comments only":       {"# " + one, "no key"},
		"short":               {one + "\n\n" + keyText("s", 31), "line 3 is the base64 of 31 bytes; a key has at least 32"},
		"no base64":           {one + ",hush-hush", "line 1 is not the base64 of at least 32 bytes"},
		"plain text":          {strings.Repeat("hush!", 20), "line 1"},
		"without its padding": {strings.TrimRight(one, "="), "line 1"},
		"URL alphabet":        {strings.Repeat("_", 43) + "=", "line 1"},
		"wrapped by openssl":  {two[:64] + "\n" + two[64:], "line 2"},
		"hexadecimal":         {strings.Repeat("0f", 31), "line 1"},
		"huge":                {strings.Repeat(one+"\n", 4_000), "more than"},
	} {
		keys, err := credentials.ParseKeys(c.text)
		require.ErrorContains(t, err, c.err, name)
		require.Nil(t, keys, name)
		for _, secret := range []string{"hush", one, keyText("s", 31), two[:10]} {
			require.NotContains(t, err.Error(), secret, name)
		}
	}
}
