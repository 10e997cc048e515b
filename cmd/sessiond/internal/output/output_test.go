package output_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/cmd/sessiond/internal/output"
)

// rows are a result with what a browser may have chosen.
func rows(t *testing.T, p *output.Printer) {
	t.Helper()
	require.NoError(t, p.Row(json.RawMessage("{\"id\": 1,\n\"user\":\"a\"}"), "1", "a"))
	require.NoError(t, p.Row(json.RawMessage(`{"id":22}`), "22", "evil\x1b[2J\u009b2J\tx\ny"))
	require.NoError(t, p.Flush())
}

func TestTableForAPerson(t *testing.T) {
	var out strings.Builder
	rows(t, output.New(&out, true, "ID", "USER"))
	require.Equal(t, "ID  USER\n1   a\n22  evil�[2J�2J x y\n", out.String())
}

func TestLinesForAProgram(t *testing.T) {
	var out strings.Builder
	rows(t, output.New(&out, false, "ID", "USER"))
	require.Equal(t, "{\"id\":1,\"user\":\"a\"}\n{\"id\":22}\n", out.String())
}

func TestObjectForAPerson(t *testing.T) {
	var out strings.Builder
	require.NoError(t, output.New(&out, true).Row(json.RawMessage("{\"a\":\"\u009b2J\"}")))
	require.Equal(t, "{\n  \"a\": \"�2J\"\n}\n", out.String())
	require.Error(t, output.New(&out, true).Row(json.RawMessage("{")))
	require.Error(t, output.New(&out, false).Row(json.RawMessage("{")))
}

func TestPipesAndFilesAreNoTerminals(t *testing.T) {
	require.False(t, output.IsTerminal(&strings.Builder{}))
	r, w, err := os.Pipe()
	require.NoError(t, err)
	defer r.Close()
	defer w.Close()
	require.False(t, output.IsTerminal(w))
}
