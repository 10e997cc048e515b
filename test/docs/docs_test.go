package docs_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const root = "../.."

var (
	testFunc  = regexp.MustCompile(`(?m)^func ((?:Test|Example|Fuzz)\w*)\(`)
	namedTest = regexp.MustCompile("`((?:Test|Example|Fuzz)[A-Z]\\w*)`(?: \\((\\w+)\\))?")
)

// goFiles returns the paths of all Go files of the repository, relative to its root.
func goFiles(t *testing.T) (paths []string) {
	t.Helper()
	require.NoError(t, fs.WalkDir(os.DirFS(root), ".", func(path string, _ fs.DirEntry, err error) error {
		if filepath.Ext(path) == ".go" {
			paths = append(paths, path)
		}
		return err
	}))
	return paths
}

// allTests returns the folders of each test by its name.
func allTests(t *testing.T) map[string][]string {
	t.Helper()
	folders := map[string][]string{}
	for _, path := range goFiles(t) {
		if !strings.HasSuffix(path, "_test.go") {
			continue
		}
		text, err := os.ReadFile(filepath.Join(root, path))
		require.NoError(t, err)
		for _, match := range testFunc.FindAllSubmatch(text, -1) {
			folders[string(match[1])] = append(folders[string(match[1])], filepath.ToSlash(filepath.Dir(path)))
		}
	}
	return folders
}

// isIn reports whether a folder is the package that a document names behind a test: its last
// element, "root", or nothing for bridge and the folders of test.
func isIn(folder, named string) bool {
	switch named {
	case "":
		return folder == "bridge" || strings.HasPrefix(folder, "test/")
	case "root":
		return folder == "."
	}
	return filepath.Base(folder) == named
}

// Each row of docs/features.md names existing tests of the named packages, and docs/security.md
// names tests that exist in some package.
func TestDocumentsNameTestsThatExist(t *testing.T) {
	folders := allTests(t)
	features, err := os.ReadFile(root + "/docs/features.md")
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
			if !slices.ContainsFunc(folders[match[1]], func(folder string) bool { return isIn(folder, match[2]) }) {
				wrong = append(wrong, fmt.Sprintf("%s isn't in %q but in %v", match[1], match[2], folders[match[1]]))
			}
		}
	}
	require.Greater(t, rows, 80)

	security, err := os.ReadFile(root + "/docs/security.md")
	require.NoError(t, err)
	for _, match := range namedTest.FindAllStringSubmatch(string(security), -1) {
		if len(folders[match[1]]) == 0 {
			wrong = append(wrong, fmt.Sprintf("docs/security.md: %s isn't anywhere", match[1]))
		}
	}
	require.Empty(t, wrong)
}
