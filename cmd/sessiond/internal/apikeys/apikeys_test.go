package apikeys_test

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/admin"
	"github.com/sessionbridge/sessionbridge/cmd/sessiond/internal/apikeys"
)

const text = `# who may call
shop   write  AAAAAAAAAAAAAAAAAAAAAAAAAA
proxy  auth   BBBBBBBBBBBBBBBBBBBBBBBBBB main # forward authentication

ops    read   CCCCCCCCCCCCCCCCCCCCCCCCCC
`

func TestKeysOfAFileAndOfTheEnvironment(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	keys, err := apikeys.Load(path, "DDDDDDDDDDDDDDDDDDDDDDDDDD")
	require.NoError(t, err)
	require.Equal(t, []admin.Key{
		{Name: "shop", Scope: admin.ScopeWrite, Secret: "AAAAAAAAAAAAAAAAAAAAAAAAAA", Apps: []string{}},
		{Name: "proxy", Scope: admin.ScopeAuth, Secret: "BBBBBBBBBBBBBBBBBBBBBBBBBB", Apps: []string{"main"}},
		{Name: "ops", Scope: admin.ScopeRead, Secret: "CCCCCCCCCCCCCCCCCCCCCCCCCC", Apps: []string{}},
		{Name: "env", Scope: admin.ScopeWrite, Secret: "DDDDDDDDDDDDDDDDDDDDDDDDDD"},
	}, keys)
	keys, err = apikeys.Load("", "")
	require.NoError(t, err)
	require.Empty(t, keys)
}

func TestFileThatOthersCanWriteTo(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no such permissions")
	}
	path := filepath.Join(t.TempDir(), "keys")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	require.NoError(t, os.Chmod(path, 0o620))
	_, err := apikeys.Load(path, "")
	require.ErrorContains(t, err, "others can write to it")
	_, err = apikeys.Load(path+".none", "")
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestErrorsNameTheLineAndNoSecret(t *testing.T) {
	for text, says := range map[string]string{
		"":                          "there is no key",
		"# nothing":                 "there is no key",
		"shop HUSH":                 "line 1: a key is NAME SCOPE SECRET",
		"a read x\nshop HUSH write": "line 2: the second word is not a scope",
	} {
		_, err := apikeys.Parse(text)
		require.ErrorContains(t, err, says)
		require.NotContains(t, err.Error(), "HUSH")
	}
}
