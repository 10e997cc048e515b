package strictjson_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/strictjson"
)

func TestWhatIsNoIJSONIsRefused(t *testing.T) {
	nested := func(depth int) string { return `{"a":` + strings.Repeat("[", depth) + strings.Repeat("]", depth) + "}" }
	for text, field := range map[string]string{
		``:                                "",
		`{`:                               "",
		`{"a":1}{"a":1}`:                  "",
		`{"a":1} x`:                       "",
		`{"a":1,}`:                        "",
		`{"a":01}`:                        "",
		`{'a':1}`:                         "",
		`{"a":NaN}`:                       "",
		"{\"a\":\"\xff\"}":                "",
		"{\"a\":\"\n\"}":                  "",
		`[]`:                              "",
		`null`:                            "",
		`"a"`:                             "",
		`{"a":1,"a":1}`:                   "a",
		`{"a":1,"\u0061":2}`:              "a",
		`{"a":{"b":1,"c":{"d":1,"d":2}}}`: "a.c.d",
		`{"a":[0,{"b":1,"b":1}]}`:         "a.1.b",
		`{"a":1e999}`:                     "a",
		`{"a":[1,-1e400]}`:                "a.1",
		`{"a":"\ud800"}`:                  "a",
		`{"a":"\ud800x"}`:                 "a",
		`{"a":"\ud800\ud800\udc00"}`:      "a",
		`{"a":"\udc00"}`:                  "a",
		`{"\udc00":1}`:                    "",
		nested(strictjson.MaxDepth):       "a",
		nested(9000):                      "a",
		nested(20000):                     "",
	} {
		_, err := strictjson.Parse([]byte(text), false)
		var e *strictjson.Error
		require.ErrorAs(t, err, &e, "%.40s", text)
		require.Equal(t, field, e.Field, "%.40s", text)
		require.NotEmpty(t, e.Reason)
	}
	for _, text := range []string{
		`{}`, " {\"a\" : [ ] , \"b\":{ } }\n", `{"a":"\ud83d\ude00","b":"\\ud800","c":"\\\\","d":"\""}`, `{"A":1,"a":2,"":3}`,
		`{"a":1E+2,"b":-0.5e-3,"c":9007199254740993,"d":1e-999}`, `{"a":[true,false,null,[],{},""]}`, nested(strictjson.MaxDepth - 1),
	} {
		_, err := strictjson.Parse([]byte(text), false)
		require.NoError(t, err, "%.40s", text)
	}
	_, err := strictjson.Parse(nil, true)
	require.NoError(t, err)
}

func TestFieldsAreTakenByNameAndType(t *testing.T) {
	o, err := strictjson.Parse([]byte(`{"s":"x","b":true,"n":1.5,"i":1e3,"l":["a","b"],"o":{"in":"y"},"raw":[1],"z":null}`), false)
	require.NoError(t, err)
	require.Equal(t, "x", o.String("s"))
	require.True(t, o.Bool("b", false))
	n, ok := o.Number("n")
	require.True(t, ok)
	require.InDelta(t, 1.5, n, 0)
	require.Equal(t, 1000, o.Int("i", 1, 0, 1000))
	require.Equal(t, []string{"a", "b"}, o.Strings("l", 2))
	require.Equal(t, "y", o.Object("o").String("in"))
	require.True(t, o.Has("raw"))
	require.JSONEq(t, "[1]", string(o.Raw("raw")))
	require.True(t, o.IsNull("z"))
	require.True(t, o.Has("z"))
	require.Equal(t, json.RawMessage("null"), o.Raw("z"))

	require.Empty(t, o.String("absent"))
	require.True(t, o.Bool("absent", true))
	_, ok = o.Number("absent")
	require.False(t, ok)
	require.Equal(t, 7, o.Int("absent", 7, 0, 9))
	require.Empty(t, o.Strings("absent", 1))
	require.Nil(t, o.Object("absent"))
	require.Nil(t, o.Raw("absent"))
	require.NoError(t, o.Err())
}

func TestEachErrorNamesItsField(t *testing.T) {
	for text, c := range map[string]struct {
		take  func(o *strictjson.Object)
		field string
	}{
		`{"a":1}`:               {func(o *strictjson.Object) { o.String("a") }, "a"},
		`{"a":null}`:            {func(o *strictjson.Object) { o.String("a") }, "a"},
		`{"a":"true"}`:          {func(o *strictjson.Object) { o.Bool("a", true) }, "a"},
		`{"a":"3600"}`:          {func(o *strictjson.Object) { o.Number("a") }, "a"},
		`{"a":1.5}`:             {func(o *strictjson.Object) { o.Int("a", 0, 0, 9) }, "a"},
		`{"a":10}`:              {func(o *strictjson.Object) { o.Int("a", 0, 0, 9) }, "a"},
		`{"a":-1}`:              {func(o *strictjson.Object) { o.Int("a", 0, 0, 9) }, "a"},
		`{"a":1e300}`:           {func(o *strictjson.Object) { o.Int("a", 0, 0, 9) }, "a"},
		`{"a":["x",null]}`:      {func(o *strictjson.Object) { o.Strings("a", 9) }, "a.1"},
		`{"a":["x",1]}`:         {func(o *strictjson.Object) { o.Strings("a", 9) }, "a"},
		`{"a":["x","y"]}`:       {func(o *strictjson.Object) { o.Strings("a", 1) }, "a"},
		`{"a":[]}`:              {func(o *strictjson.Object) { o.Object("a") }, "a"},
		`{"b":1,"a":2}`:         {func(*strictjson.Object) {}, "a"},
		`{"A":"x"}`:             {func(o *strictjson.Object) { o.String("a") }, "A"},
		`{"a":{"b":1}}`:         {func(o *strictjson.Object) { o.Object("a").String("b") }, "a.b"},
		`{"a":{"b":"x","c":1}}`: {func(o *strictjson.Object) { o.Object("a").String("b") }, "a.c"},
		`{"a":{}}`:              {func(o *strictjson.Object) { o.Object("a").Fail("", "no") }, "a"},
		`{"x":{"a":"y"}}`:       {func(o *strictjson.Object) { o.Object("x").Fail("a", "no"); o.Fail("x", "late") }, "x"},
	} {
		o, err := strictjson.Parse([]byte(text), false)
		require.NoError(t, err)
		c.take(o)
		var e *strictjson.Error
		require.ErrorAs(t, o.Err(), &e, text)
		require.Equal(t, c.field, e.Field, text)
		require.Contains(t, e.Error(), c.field)
	}
	o, err := strictjson.Parse([]byte(`{"anything":1}`), false)
	require.NoError(t, err)
	require.Len(t, o.All(), 1)
	require.NoError(t, o.Err())
}

func TestLongNamesAreCutInErrors(t *testing.T) {
	name := strings.Repeat("ä", 5000)
	_, err := strictjson.Parse([]byte(`{"`+name+`":1,"`+name+`":2}`), false)
	require.Less(t, len(err.Error()), 300)
}

// The examples of RFC 7396, appendix A.
func TestMerge(t *testing.T) {
	for _, c := range [][3]string{
		{`{"a":"b"}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"b"}`, `{"b":"c"}`, `{"a":"b","b":"c"}`},
		{`{"a":"b"}`, `{"a":null}`, `{}`},
		{`{"a":"b","b":"c"}`, `{"a":null}`, `{"b":"c"}`},
		{`{"a":["b"]}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"c"}`, `{"a":["b"]}`, `{"a":["b"]}`},
		{`{"a":{"b":"c"}}`, `{"a":{"b":"d","c":null}}`, `{"a":{"b":"d"}}`},
		{`{"a":[{"b":"c"}]}`, `{"a":[1]}`, `{"a":[1]}`},
		{`["a","b"]`, `["c","d"]`, `["c","d"]`},
		{`{"a":"b"}`, `["c"]`, `["c"]`},
		{`{"a":"foo"}`, `null`, `null`},
		{`{"a":"foo"}`, `"bar"`, `"bar"`},
		{`{"e":null}`, `{"a":1}`, `{"e":null,"a":1}`},
		{`[1,2]`, `{"a":"b","c":null}`, `{"a":"b"}`},
		{`{}`, `{"a":{"bb":{"ccc":null}}}`, `{"a":{"bb":{}}}`},
		{``, `{"a":{"b":null,"c":1}}`, `{"a":{"c":1}}`},
		{" \n{\"a\":1}", "\t{\"b\":2}", `{"a":1,"b":2}`},
	} {
		require.JSONEq(t, c[2], string(strictjson.Merge(json.RawMessage(c[0]), json.RawMessage(c[1]))), "%v", c)
	}
}

// The fields are those that encoding/json finds, without the white space around them.
func TestTheFieldsOfAnObject(t *testing.T) {
	text := []byte(" {\"a\" : {\"b\": [1, {}]} ,\n\t\"c\":-1.5e3 , \"\\u0064\": \"x\\n\" , \"e\":null}\n")
	var want map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(text, &want))
	o, err := strictjson.Parse(text, false)
	require.NoError(t, err)
	require.Equal(t, want, o.All())
	require.Equal(t, "x\n", o.String("d"))
	_ = append(o.Raw("c"), bytes.Repeat([]byte("0"), 50)...)
	require.Equal(t, want["e"], o.Raw("e"), "to append to a field leaves the others alone")
}

// Whatever the text is, Check accepts only JSON, and takes no more than the standard library does.
func FuzzCheck(f *testing.F) {
	for _, text := range []string{`{"a":[1,{"b":"\ud83d\ude00"}]}`, `{"a":"\ud800"}`, `[[[[`, `"\\`, `-1e5`, `{"a":1,"a":2}`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if strictjson.Check(text) == nil {
			var v any
			require.NoError(t, json.Unmarshal(text, &v))
		}
	})
}
