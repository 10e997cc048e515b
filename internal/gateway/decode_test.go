package gateway_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/gateway"
)

func TestNumbersDecodeAsWhatTheySpell(t *testing.T) {
	for raw, want := range map[string]any{
		"0":                    int64(0),
		"7":                    int64(7),
		"-7":                   int64(-7),
		"-0":                   int64(0),
		"999999999999999999":   int64(999_999_999_999_999_999),
		"1000000000000000000":  int64(1_000_000_000_000_000_000),
		"9223372036854775807":  int64(math.MaxInt64),
		"9223372036854775808":  float64(1 << 63),
		"-9223372036854775808": int64(math.MinInt64),
		"1.5":                  1.5,
		"1e3":                  1000.0,
		"1E-1":                 0.1,
	} {
		got, err := gateway.DecodeValue([]byte(raw))
		require.NoError(t, err, raw)
		require.Equal(t, want, got, raw)
	}
}

// FuzzDecodeNumber: the same numbers are accepted as by encoding/json, with the same values.
func FuzzDecodeNumber(f *testing.F) {
	for _, raw := range []string{"0", "00", "01", "-", "-01", "1_0", "12a", "+1", ".5", "1.", "0x10", "123456789012345678", "1234567890123456789"} {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		if raw == "" || strings.IndexByte("-0123456789", raw[0]) < 0 || strings.ContainsAny(raw, " \t\r\n") {
			return // values are without the space around them
		}
		got, err := gateway.DecodeValue([]byte(raw))
		var want json.Number
		if json.Unmarshal([]byte(raw), &want) != nil {
			require.Error(t, err)
			return
		}
		if n, notInt := want.Int64(); notInt == nil {
			require.NoError(t, err)
			require.Equal(t, n, got)
			return
		}
		if x, tooLarge := want.Float64(); tooLarge == nil {
			require.NoError(t, err)
			require.Equal(t, x, got)
		}
	})
}
