package main

import (
	"encoding/xml"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestResultsAreDocumented(t *testing.T) {
	rep := newReport(9)
	two := func(row, peer string, ours, theirs float64) result {
		return result{
			Row: row, Metric: nsPerOp, Ratio: theirs / ours,
			Ours: figures{Name: "ours", Median: sample{nsPerOp: ours}},
			Peer: &figures{Name: peer, Median: sample{nsPerOp: theirs}},
		}
	}
	rep.Rows = []result{two("middleware/read", "s & s", 2000, 8000), two("another", "scs", 1, 2)}
	saved := filepath.Join(t.TempDir(), "results.json")
	require.NoError(t, rep.writeJSON(saved))
	again, err := readReport(saved)
	require.NoError(t, err)
	require.Equal(t, rep, again)

	docs := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(docs, "img"), 0o700))
	page := filepath.Join(docs, "performance.md")
	require.NoError(t, os.WriteFile(page, []byte("# Title\n"), 0o600))
	require.ErrorContains(t, again.document(docs), "the results belong")
	require.NoError(t, os.WriteFile(page, []byte("before\n"+resultsBegin+"old\n"+resultsEnd+"after\n"), 0o600))
	require.NoError(t, again.document(docs))
	require.NoError(t, again.document(docs), "as often as one likes")
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	require.NotContains(t, string(text), "old")
	require.Contains(t, string(text), "| another | 1ns 0B 0a | 2ns 0B 0a scs | 2.00× | – | – |\n")
	require.True(t, strings.HasPrefix(string(text), "before\n") && strings.HasSuffix(string(text), "after\n"))
	require.Contains(t, string(text), "](img/bench-http.svg)")
	require.NotContains(t, string(text), "bench-redis.svg", "no row of it was measured")

	picture, err := os.ReadFile(filepath.Join(docs, "img", "bench-http.svg"))
	require.NoError(t, err)
	widths := map[string]string{} // of the bars, by class
	for d := xml.NewDecoder(strings.NewReader(string(picture))); ; {
		token, err := d.Token()
		if err == io.EOF { //nolint:errorlint // it is that
			break
		}
		require.NoError(t, err)
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == "rect" {
			of := map[string]string{}
			for _, a := range e.Attr {
				of[a.Name.Local] = a.Value
			}
			widths[of["class"]] = of["width"]
		}
	}
	require.Equal(t, map[string]string{"ours": "95.0", "peer": "380.0"}, widths, "a quarter of the time, of the length")
}
