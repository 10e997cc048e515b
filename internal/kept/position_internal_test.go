package kept

import (
	"crypto/sha256"
	"math"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/store"
)

// token is the grammar of RFC 9110 §5.6.2.
var token = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")

func newTags(secrets ...string) *tags {
	all := make([][sha256.Size]byte, len(secrets))
	for i, secret := range secrets {
		all[i] = sha256.Sum256([]byte(secret))
	}
	t := &tags{}
	t.secrets.Store(&all)
	return t
}

func TestAPositionIsReadBack(t *testing.T) {
	for _, entries := range [][]entry{
		nil,
		{{[tagSize]byte{1, 2, 3}, 0}},
		{{[tagSize]byte{255, 255, 255, 255, 255, 255}, math.MaxUint64}, {[tagSize]byte{}, 1}},
		{{[tagSize]byte{1}, 1 << 50}, {[tagSize]byte{2}, 1 << 51}, {[tagSize]byte{3}, 7}, {[tagSize]byte{4}, math.MaxUint64}},
	} {
		text := formatPosition(entries)
		require.LessOrEqual(t, len(text), maxPosition)
		require.Regexp(t, token, text)
		got, ok := parsePosition(text)
		require.True(t, ok)
		require.Equal(t, entries, got)
	}
}

func TestAnythingElseIsNoPosition(t *testing.T) {
	good := formatPosition([]entry{{[tagSize]byte{1}, 100}})
	for _, bad := range []string{
		"", "1", ".", good + ".", "." + good, good + "," + good, good[:tagText], "AQAAAAA=" + good[tagText:], good + " ",
		good[:tagText] + "0" + good[tagText:], good[:tagText] + "+1", good[:tagText] + "-1", good[:tagText] + "Z",
		good[:tagText] + "zzzzzzzzzzzzzzzz", strings.Repeat(good+".", 4) + good, strings.Repeat("0", 201), "\x1e", "0.0",
	} {
		_, ok := parsePosition(bad)
		require.False(t, ok, "%q", bad)
	}
}

// A position names no session and no user: only the secret leads from one to the other. It is read
// under each of the secrets, and written under the first.
func TestATagIsOfOneLogUnderOneSecret(t *testing.T) {
	old, both, other := newTags("old"), newTags("new", "old"), newTags("other")
	session, user := store.KeptFor{SessionID: "x"}, store.KeptFor{UserID: "x"}
	require.NotEqual(t, old.of(session), old.of(user))
	require.NotEqual(t, old.of(session), other.of(session))
	entries := []entry{{old.of(user)[0], 5}, {old.of(session)[0], 7}}
	tag, number, found := both.take(&entries, session)
	require.True(t, found)
	require.EqualValues(t, 7, number)
	require.Equal(t, newTags("new").of(session)[0], tag)
	require.Equal(t, []entry{{old.of(user)[0], 5}}, entries, "the other one stays")
	_, _, found = other.take(&entries, user)
	require.False(t, found)
}

func FuzzPosition(f *testing.F) {
	f.Add("0")
	f.Add(formatPosition([]entry{{[tagSize]byte{1, 2}, 77}, {[tagSize]byte{255}, math.MaxUint64}}))
	f.Add("AAAAAAAA0.AAAAAAAA1.AAAAAAAA2.AAAAAAAA3")
	f.Fuzz(func(t *testing.T, text string) {
		entries, ok := parsePosition(text)
		if !ok {
			return
		}
		require.LessOrEqual(t, len(entries), maxEntries)
		require.Equal(t, text, formatPosition(entries), "it has one spelling only")
	})
}
