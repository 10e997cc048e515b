package filestore

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Different IDs have different keys, and each is what its key says.
func TestKeyTellsIDsApart(t *testing.T) {
	t.Parallel()
	keys := make(map[string]string)
	for _, id := range []string{
		"", "x", "6ba7b810-9dad-11d1-80b4-00c04fd430c8", "6BA7B810-9dad-11d1-80b4-00c04fd430c8", "{6ba7b810-9dad-11d1-80b4-00c04fd430c8}",
		"00000000-0000-0000-0000-000000000000", "-0000000-0000-0000-0000-000000000000", "-0000-00-0000-0000-0000-000000000000",
		"00000000-0000-0000-0000-0000000000-0", "00000000-0000-0000-0000-00000000000-", "------------------------------------",
		"00000000-0000-0000-0000-00000000000g", "000000000000-0000-0000-0000-00000000", "\x00", "\x01", "\x010123456789abcdef",
	} {
		key := appendID(nil, id)
		require.NotContains(t, keys, string(key), "%q has the key of %q", id, keys[string(key)])
		keys[string(key)] = id
		got, err := decodeID(key)
		require.NoError(t, err)
		require.Equal(t, id, got)
		require.True(t, isKey(key))
	}
}
