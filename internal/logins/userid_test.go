package logins_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/logins"
)

func TestUserID(t *testing.T) {
	for _, id := range []string{"u", "é", "a b", strings.Repeat("x", 255)} {
		require.NoError(t, logins.CheckUserID(id), id)
	}
	for _, id := range []string{"", strings.Repeat("x", 256), "a\x00b", "\xff"} {
		require.ErrorIs(t, logins.CheckUserID(id), logins.ErrUserID, "%q", id)
	}
}
