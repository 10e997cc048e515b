package metrics

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
)

// constants returns the values of the typed string constants in a file, by type.
func constants(t *testing.T, name string) map[string][]string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
	require.NoError(t, err)
	found := map[string][]string{}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 {
			return true
		}
		typ, typed := spec.Type.(*ast.Ident)
		value, literal := spec.Values[0].(*ast.BasicLit)
		if typed && literal {
			text, err := strconv.Unquote(value.Value)
			require.NoError(t, err)
			found[typ.Name] = append(found[typ.Name], text)
		}
		return true
	})
	return found
}

// TestLabelsKnowEachConstant: a constant that is added to package bridge must be added here.
// Anything else, such as the reason that another program gives, is "other".
func TestLabelsKnowEachConstant(t *testing.T) {
	known := constants(t, "../bridge/events.go")
	for typ, label := range map[string]func(string) string{
		"Via":          func(s string) string { return via(bridge.Via(s)) },
		"Reason":       func(s string) string { return reason(bridge.Reason(s)) },
		"Credential":   func(s string) string { return credential(bridge.Credential(s)) },
		"RejectReason": func(s string) string { return rejectReason(bridge.RejectReason(s)) },
	} {
		require.NotEmpty(t, known[typ])
		for _, value := range known[typ] {
			require.Equal(t, value, label(value))
		}
		require.Equal(t, "other", label("of a stranger"))
	}
	for c, want := range map[int]string{-1: "none", 1000: "1000", bridge.CodeEvicted: "4503", 4242: "other"} {
		require.Equal(t, want, code(c))
	}
}

func TestEndsAreBoundedAndForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var e ends
		_, ok := e.since("s")
		require.False(t, ok)
		for i := range 2 * maxEnds {
			e.note(strconv.Itoa(i))
		}
		require.Len(t, e.at, maxEnds)
		time.Sleep(time.Second)
		e.note("0") // again
		took, ok := e.since("0")
		require.True(t, ok)
		require.Equal(t, time.Second, took)
		time.Sleep(longestClose)
		_, ok = e.since("1")
		require.False(t, ok)
		require.Empty(t, e.at)
		require.Empty(t, e.order)
	})
}
