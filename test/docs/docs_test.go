package docs_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"maps"
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
	goBlock   = regexp.MustCompile("(?s)```go\n(.*?)```")
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

// exists reports whether a test is in the package that a document names behind it.
func exists(folders map[string][]string, test, named string) bool {
	return slices.ContainsFunc(folders[test], func(folder string) bool { return isIn(folder, named) })
}

// cells returns the cells of each row of the tables in a text, without their headings.
func cells(text string) (rows [][]string) {
	heading := true
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "|") {
			heading = true
			continue
		}
		row := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i := range row {
			row[i] = strings.TrimSpace(row[i])
		}
		if strings.HasPrefix(row[0], "---") {
			heading = false
		} else if !heading {
			rows = append(rows, row)
		}
	}
	return rows
}

// Each row of docs/features.md names existing tests of the named packages.
func TestDocumentsNameTestsThatExist(t *testing.T) {
	folders := allTests(t)
	features, err := os.ReadFile(root + "/docs/features.md")
	require.NoError(t, err)
	listed, rest, ok := bytes.Cut(features, []byte("\n## Not yet\n"))
	require.True(t, ok, "what is missing is listed apart")
	require.NotContains(t, string(rest), "`Test")
	var wrong []string
	rows := cells(string(listed))
	for _, row := range rows {
		require.Len(t, row, 3, row)
		named := namedTest.FindAllStringSubmatch(row[2], -1)
		if len(named) == 0 && !strings.Contains(row[1], "yet") {
			wrong = append(wrong, "nothing shows: "+row[0])
		}
		for _, match := range named {
			if !exists(folders, match[1], match[2]) {
				wrong = append(wrong, fmt.Sprintf("%s isn't in %q but in %v", match[1], match[2], folders[match[1]]))
			}
		}
	}
	require.Greater(t, len(rows), 80)
	require.Empty(t, wrong)
}

// wrongRequirements returns what is wrong with the table of requirements: it has S1 to S22, and each
// has tests, all of which exist.
func wrongRequirements(security string, folders map[string][]string) (wrong []string) {
	_, table, _ := strings.Cut(security, "\n## Requirements\n")
	table, _, _ = strings.Cut(table, "\n## ")
	var found []string
	for _, row := range cells(table) {
		found = append(found, row[0])
		named := namedTest.FindAllStringSubmatch(row[len(row)-1], -1)
		if len(named) == 0 {
			wrong = append(wrong, row[0]+" has no test")
		}
		for _, match := range named {
			if !exists(folders, match[1], match[2]) {
				wrong = append(wrong, fmt.Sprintf("%s: %s isn't in %q but in %v", row[0], match[1], match[2], folders[match[1]]))
			}
		}
	}
	var want []string
	for i := range 22 {
		want = append(want, fmt.Sprintf("S%d", i+1))
	}
	if !slices.Equal(want, found) {
		wrong = append(wrong, fmt.Sprintf("the requirements are %v", found))
	}
	return wrong
}

// wrongTargets returns what is wrong with the table of fuzz targets: it has each that exists, once,
// with its package and its property.
func wrongTargets(security string, folders map[string][]string) (wrong []string) {
	_, table, _ := strings.Cut(security, "\n## Fuzzing\n")
	table, _, _ = strings.Cut(table, "\n## ")
	listed := map[string]int{} // by folder and name
	for _, row := range cells(table) {
		match := namedTest.FindStringSubmatch(row[0])
		if match == nil || len(row) != 2 || row[1] == "" || !exists(folders, match[1], match[2]) {
			wrong = append(wrong, fmt.Sprintf("no fuzz target with a property: %q", row))
			continue
		}
		for _, folder := range folders[match[1]] {
			if isIn(folder, match[2]) {
				listed[folder+" "+match[1]]++
			}
		}
	}
	for name, in := range folders {
		for _, folder := range in {
			if n := listed[folder+" "+name]; strings.HasPrefix(name, "Fuzz") && n != 1 {
				wrong = append(wrong, fmt.Sprintf("%s of %s is listed %d times", name, folder, n))
			}
		}
	}
	return wrong
}

// The tables of docs/security.md name all requirements and fuzz targets, and tests that exist.
func TestSecurityNamesTestsAndFuzzTargets(t *testing.T) {
	folders := allTests(t)
	text, err := os.ReadFile(root + "/docs/security.md")
	require.NoError(t, err)
	security := string(text)
	require.Empty(t, wrongRequirements(security, folders))
	require.Empty(t, wrongTargets(security, folders))
	for _, match := range namedTest.FindAllStringSubmatch(security, -1) {
		require.NotEmpty(t, folders[match[1]], match[1])
	}

	// The checks find what is wrong.
	line := func(prefix string) string {
		match := regexp.MustCompile("(?m)^" + regexp.QuoteMeta(prefix) + ".*\n").FindString(security)
		require.NotEmpty(t, match, prefix)
		return match
	}
	for changed, wrong := range map[[2]string]func(string, map[string][]string) []string{
		{line("| S7 |"), ""}:  wrongRequirements,
		{line("| S22 |"), ""}: wrongRequirements,
		{line("| S19 |"), line("| S19 |") + line("| S19 |")}:                       wrongRequirements,
		{line("| S14 |"), "| S14 | Compression | `ConnOptions.Compression` | |\n"}: wrongRequirements,
		{"`TestS14_NoCompression", "`TestS14_SomeCompression"}:                     wrongRequirements,
		{"(pageorigin)", "(forwarded)"}:                                            wrongRequirements,
		{line("| `FuzzMerge`"), ""}:                                                wrongTargets,
		{line("| `FuzzMerge`"), "| `FuzzMerge` (gateway) | |\n"}:                   wrongTargets,
		{"`FuzzMerge` (gateway)", "`FuzzMerge` (wal)"}:                             wrongTargets,
		{"`FuzzMerge`", "`FuzzMerges`"}:                                            wrongTargets,
	} {
		require.Contains(t, security, changed[0])
		require.NotEmpty(t, wrong(strings.Replace(security, changed[0], changed[1], 1), folders), "%q", changed)
	}
	for name := range folders {
		if strings.HasPrefix(name, "Fuzz") {
			more := maps.Clone(folders)
			more[name] = append(slices.Clone(more[name]), "internal/another")
			require.NotEmpty(t, wrongTargets(security, more), name)
			break
		}
	}
}

// Each Go block of docs/testing.md is in a test file of bridgetest, and so it runs.
func TestGuideToTestingRuns(t *testing.T) {
	guide, err := os.ReadFile(root + "/docs/testing.md")
	require.NoError(t, err)
	code, err := os.ReadFile(root + "/bridgetest/guide_test.go")
	require.NoError(t, err)
	blocks := goBlock.FindAllSubmatch(guide, -1)
	require.Greater(t, len(blocks), 5)
	for _, block := range blocks {
		require.Contains(t, string(code), string(block[1]))
	}
}
