package uuidtext_test

import (
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/sessionbridge/sessionbridge/internal/uuidtext"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestWhatIsParsedComesBackAsItWas(t *testing.T) {
	for range 100 {
		id := uuid.New()
		raw, ok := uuidtext.Parse(id.String())
		require.True(t, ok)
		require.Equal(t, [uuidtext.Size]byte(id), raw)
		require.Equal(t, id.String(), uuidtext.Format(raw))
	}
}

func TestOtherFormsAreNotParsed(t *testing.T) {
	id := "0f8fad5b-d9cb-469f-a165-70867728950e"
	for _, s := range []string{
		"", id[1:], id + "0", strings.ToUpper(id), "{" + id + "}", "urn:uuid:" + id, strings.ReplaceAll(id, "-", ""),
		strings.Replace(id, "0", "g", 1), strings.Replace(id, "-", "0", 1), strings.Replace(id, "a", "é", 1),
	} {
		_, ok := uuidtext.Parse(s)
		require.False(t, ok, s)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("0f8fad5b-d9cb-469f-a165-70867728950e")
	f.Fuzz(func(t *testing.T, s string) {
		if raw, ok := uuidtext.Parse(s); ok {
			require.Equal(t, s, uuidtext.Format(raw))
		}
	})
}
