package sessionbridge_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// packageFolders are the packages whose tests the documents name.
var packageFolders = map[string]string{
	"root": ".", "bridge": "bridge", "store": "store", "storetest": "store/storetest", "livestore": "livestore", "filestore": "filestore",
	"wal": "filestore/internal/wal", "redisstore": "redisstore", "compat": "compat", "example": "example", "gateway": "internal/gateway",
	"cachecontrol": "internal/cachecontrol", "clientmap": "internal/clientmap", "ctxlock": "internal/ctxlock", "clock": "internal/clock", "credentials": "internal/credentials", "forwarded": "internal/forwarded",
	"pageorigin": "internal/pageorigin", "pubsub": "internal/pubsub", "responsewriter": "internal/responsewriter", "workers": "internal/workers",
}

var (
	testFunc  = regexp.MustCompile(`(?m)^func ((?:Test|Example|Fuzz)\w*)\(`)
	namedTest = regexp.MustCompile("`((?:Test|Example|Fuzz)[A-Z]\\w*)`(?: \\((\\w+)\\))?")
)

// testsOf returns the tests of a package by name.
func testsOf(t *testing.T, folder string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*_test.go"))
	require.NoError(t, err)
	tests := map[string]bool{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, match := range testFunc.FindAllSubmatch(text, -1) {
			tests[string(match[1])] = true
		}
	}
	require.NotEmpty(t, tests, folder)
	return tests
}

// TestDocumentsNameTestsThatExist: what docs/features.md lists is shown by a test of that name in
// that package, row by row; and docs/security.md names none that isn't somewhere.
func TestDocumentsNameTestsThatExist(t *testing.T) {
	tests, anywhere := map[string]map[string]bool{}, map[string]bool{}
	for name, folder := range packageFolders {
		tests[name] = testsOf(t, folder)
		for test := range tests[name] {
			anywhere[test] = true
		}
	}
	features, err := os.ReadFile("docs/features.md")
	require.NoError(t, err)
	listed, rest, ok := bytes.Cut(features, []byte("\n## Not yet\n"))
	require.True(t, ok, "what is missing is listed apart")
	require.NotContains(t, string(rest), "`Test")
	var wrong []string
	rows := 0
	for line := range strings.Lines(string(listed)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if !strings.HasPrefix(line, "| ") || strings.TrimSpace(cells[len(cells)-1]) == "Shown by" {
			continue
		}
		rows++
		require.Len(t, cells, 3, line)
		named := namedTest.FindAllStringSubmatch(cells[2], -1)
		if len(named) == 0 && !strings.Contains(cells[1], "yet") {
			wrong = append(wrong, "nothing shows: "+strings.TrimSpace(cells[0]))
		}
		for _, match := range named {
			in := match[2]
			if in == "" {
				in = "bridge"
			}
			if !tests[in][match[1]] {
				wrong = append(wrong, fmt.Sprintf("%s isn't in %s", match[1], in))
			}
		}
	}
	require.Greater(t, rows, 80)

	security, err := os.ReadFile("docs/security.md")
	require.NoError(t, err)
	for _, match := range namedTest.FindAllSubmatch(security, -1) {
		if !anywhere[string(match[1])] {
			wrong = append(wrong, fmt.Sprintf("docs/security.md: %s isn't anywhere", match[1]))
		}
	}
	require.Empty(t, wrong)
}

// goFile is a Go file that a document names.
var goFile = regexp.MustCompile(`\b[a-z0-9_]+\.go\b`)

// The documents for contributors name files and packages that exist.
func TestArchitectureNamesWhatExists(t *testing.T) {
	files, packages := map[string]bool{}, map[string]bool{}
	require.NoError(t, filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && filepath.Ext(path) == ".go" {
			files[d.Name()] = true
			packages[filepath.ToSlash(filepath.Dir(path))] = true
		}
		return err
	}))
	text, err := os.ReadFile("docs/architecture.md")
	require.NoError(t, err)
	for _, name := range goFile.FindAllString(string(text), -1) {
		require.True(t, files[name], "there is no %s", name)
	}
	for path := range packages {
		if strings.HasPrefix(path, "internal/") && strings.Count(path, "/") == 1 {
			require.Contains(t, string(text), "`"+path+"`", "each package of the library has a row")
		}
	}
}
