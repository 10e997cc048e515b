package gateway_test

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/gateway"
)

func TestObjectIsTakenApartAsEncodingJSONDoes(t *testing.T) {
	many := "{"
	for i := range 100 {
		many += fmt.Sprintf(`"k%d":%d,`, i, i)
	}
	for _, data := range []string{
		``, `{}`, ` { } `, `{"a":1}`, ` { "a" : 1 , "b" : [1,{"c":"]}"}] } `, `{"a":"\"}","b":{"c":{"d":[[]]}}}`,
		`{"":0}`, `{"a\u0062":1,"ab":2}`, `{"a":1,"a":2}`, `{"é":"ü"}`, `{"a":null,"b":true,"c":-1.5e3}`, many + `"k0":"last"}`,
	} {
		t.Run(data[:min(len(data), 30)], func(t *testing.T) {
			fields, err := gateway.ParseFields([]byte(data))
			require.NoError(t, err)
			want := map[string]json.RawMessage{}
			if data != "" {
				require.NoError(t, json.Unmarshal([]byte(data), &want))
			}
			require.Len(t, fields, len(want))
			for k, raw := range want {
				require.Equal(t, string(raw), fields[k], "key %q", k)
			}
		})
	}
}

func TestObjectRefusesWhatIsNone(t *testing.T) {
	for _, data := range []string{
		`[]`, `1`, `"a"`, `{`, `}`, `{"a"`, `{"a":`, `{"a":1`, `{"a":1,`, `{"a":1,}`, `{a:1}`, `{"a":1}x`, `{"a" 1}`,
		`{"a":[1}`, `{"a":"`, `{"a":"\`, `{"a":}`, `{,}`, `{"a":1 "b":2}`, `{"\x":1}`,
	} {
		_, err := gateway.ParseFields([]byte(data))
		require.Error(t, err, "%s", data)
	}
}

// FuzzObject: an object that encoding/json accepts is parsed to the same values; no other input
// panics.
func FuzzObject(f *testing.F) {
	for _, seed := range []string{`{"a":1,"b":[true,{"c":"d\\"}]}`, `{"\u00e9":null}`, `{"a":1,"a":"2"} `, `{"`, `{"a":{"b":"}"}}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		fields, err := gateway.ParseFields(data)
		var want map[string]json.RawMessage
		if json.Unmarshal(data, &want) != nil || want == nil || strings.ContainsRune(string(data), '\ufffd') {
			return
		}
		require.NoError(t, err)
		require.Len(t, fields, len(want))
		for k, raw := range want {
			require.JSONEq(t, string(raw), fields[k])
		}
	})
}

func TestValuesComeBackAsTheSpecificationSays(t *testing.T) {
	type named struct {
		A int `json:"a"`
	}
	for _, c := range []struct{ in, out any }{
		{nil, nil},
		{true, true},
		{7, int64(7)},
		{int64(math.MaxInt64), int64(math.MaxInt64)},
		{int64(math.MinInt64), int64(math.MinInt64)},
		{uint64(math.MaxUint64), float64(math.MaxUint64)},
		{uint8(200), int64(200)},
		{1<<53 + 1, int64(1<<53 + 1)},
		{1.5, 1.5},
		{1e300, 1e300},
		{"plain", "plain"},
		{"", ""},
		{"<\"é\\\n\u2028>", "<\"é\\\n\u2028>"},
		{[]int{1, 2}, []any{int64(1), int64(2)}},
		{map[string]any{"x": []any{1, "y", nil}}, map[string]any{"x": []any{int64(1), "y", nil}}},
		{named{3}, map[string]any{"a": int64(3)}},
		{json.RawMessage(`{"q":1.0}`), map[string]any{"q": 1.0}},
	} {
		raw, err := gateway.EncodeValue(c.in)
		require.NoError(t, err)
		require.True(t, json.Valid(raw), "%s", raw)
		v, err := gateway.DecodeValue(raw)
		require.NoError(t, err)
		require.Equal(t, c.out, v, "%v as %s", c.in, raw)
	}
	for _, bad := range []any{math.NaN(), math.Inf(1), make(chan int), func() {}, json.RawMessage(`{`)} {
		_, err := gateway.EncodeValue(bad)
		require.Error(t, err, "%T", bad)
	}
	for _, bad := range []string{``, `"`, `"a`, `01`, `-`, `tru`, `{`, `[1`, `1 2`, `nulll`} {
		_, err := gateway.DecodeValue([]byte(bad))
		require.Error(t, err, "%s", bad)
	}
}
