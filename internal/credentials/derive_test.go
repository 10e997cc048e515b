package credentials_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/credentials"
	"github.com/sessionbridge/sessionbridge/store"
)

func TestSuccessorsFollowFromWhatTheyReplace(t *testing.T) {
	one, two := key("1"), key("2")
	s, token := credentials.NewSuccessors([][]byte{one, two}), credentials.NewToken()
	next := s.Of(sessionID, token, "ada", store.TokenHash{})
	require.Equal(t, next, s.Of(sessionID, token, "ada", store.TokenHash{}), "the same step leads to the same token")
	first := credentials.NewSuccessors([][]byte{one})
	require.Equal(t, next, first.Of(sessionID, token, "ada", store.TokenHash{}), "the first key counts")
	for name, other := range map[string]credentials.Token{
		"the token itself": token,
		"another user":     s.Of(sessionID, token, "bob", store.TokenHash{}),
		"a renewal":        s.Of(sessionID, token, "", store.TokenHash{}),
		"another session":  s.Of(otherID, token, "ada", store.TokenHash{}),
		"another token":    s.Of(sessionID, credentials.NewToken(), "ada", store.TokenHash{}),
		"another key":      credentials.NewSuccessors([][]byte{two}).Of(sessionID, token, "ada", store.TokenHash{}),
	} {
		require.NotEqual(t, next, other, name)
	}
}

// A node that has only the old key has derived the token and stored it: both nodes send that one.
func TestSuccessorThatIsStoredIsKept(t *testing.T) {
	before := credentials.NewSuccessors([][]byte{key("o")})
	during := credentials.NewSuccessors([][]byte{key("n"), key("o")})
	token := credentials.NewToken()
	stored := before.Of(sessionID, token, "ada", store.TokenHash{})
	require.NotEqual(t, stored, during.Of(sessionID, token, "ada", store.TokenHash{}))
	require.Equal(t, stored, during.Of(sessionID, token, "ada", stored.Hash()))
	require.NotEqual(t, stored, during.Of(sessionID, token, "bob", stored.Hash()), "another user's step is another one")
}

func TestDerivedKeysDependOnTheirPurpose(t *testing.T) {
	require.Equal(t, credentials.DeriveKey(key("k"), "a"), credentials.DeriveKey(key("k"), "a"))
	require.NotEqual(t, credentials.DeriveKey(key("k"), "a"), credentials.DeriveKey(key("k"), "b"))
	require.NotEqual(t, credentials.DeriveKey(key("k"), "a"), credentials.DeriveKey(key("l"), "a"))
	require.NotEqual(t, credentials.NewKey(), credentials.NewKey())
	require.GreaterOrEqual(t, len(credentials.NewKey()), credentials.MinKeyBytes)
}
