package docs_test

import (
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/sessionbridge/sessionbridge/"

var (
	goFile    = regexp.MustCompile(`[a-z0-9_/]+\.go\b`)
	folder    = regexp.MustCompile(`\b(?:internal/\w+|store)\b`)
	paragraph = regexp.MustCompile(`\n\n|\n(?:\||\d+\. |- )`) // or a list item, or a row of a table
	subgraph  = regexp.MustCompile(`^subgraph (\w+) `)
	box       = regexp.MustCompile(`^\w+$`)
	arrow     = regexp.MustCompile(`^(\w+) --> (\w+)$`)
)

func architecture(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(root + "/docs/architecture.md")
	require.NoError(t, err)
	return string(text)
}

// imports returns the packages of this module that each package below internal, bridge and the
// stores import, without tests. A package is named by the last element of its path.
func imports(t *testing.T) map[string]map[string]bool {
	t.Helper()
	all := map[string]map[string]bool{}
	for _, path := range goFiles(t) {
		dir := filepath.ToSlash(filepath.Dir(path))
		below, isInternal := strings.CutPrefix(dir, "internal/")
		known := isInternal && !strings.Contains(below, "/") && !strings.HasPrefix(below, "test") ||
			slices.Contains([]string{"bridge", "livestore", "filestore", "redisstore", "pgstore"}, dir)
		if !known || below == "redistest" || below == "pgtest" || strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, path), nil, parser.ImportsOnly)
		require.NoError(t, err)
		from := filepath.Base(dir)
		if all[from] == nil {
			all[from] = map[string]bool{}
		}
		for _, spec := range file.Imports {
			to, ok := strings.CutPrefix(strings.Trim(spec.Path.Value, `"`), module)
			if ok && (strings.HasPrefix(to, "internal/") || to == "store") {
				all[from][filepath.Base(to)] = true
			}
		}
	}
	return all
}

// docs/architecture.md names files that exist in bridge, or in a package that the paragraph names,
// and each package directly below internal.
func TestArchitectureNamesWhatExists(t *testing.T) {
	exists := map[string]bool{}
	packages := map[string]bool{}
	for _, path := range goFiles(t) {
		exists[filepath.ToSlash(path)] = true
		packages[filepath.ToSlash(filepath.Dir(path))] = true
	}
	text := architecture(t)
	for _, part := range paragraph.Split(text, -1) {
		folders := append(folder.FindAllString(part, -1), "bridge", ".")
		for _, name := range goFile.FindAllString(part, -1) {
			require.True(t, slices.ContainsFunc(folders, func(dir string) bool { return exists[filepath.ToSlash(filepath.Join(dir, name))] }),
				"there is no %s in %v", name, folders)
		}
	}
	for path := range packages {
		if strings.HasPrefix(path, "internal/") && strings.Count(path, "/") == 1 {
			require.Contains(t, text, "`"+path+"`", "each package has a row")
		}
	}
}

// The picture in docs/architecture.md has each package, and exactly the arrows of the imports.
func TestArchitectureShowsTheImports(t *testing.T) {
	_, picture, ok := strings.Cut(architecture(t), "```mermaid\n")
	require.True(t, ok)
	picture, _, _ = strings.Cut(picture, "```")
	members := map[string][]string{"stores": {"livestore", "filestore", "redisstore", "pgstore"}}
	shown := []string{"bridge", "gateway", "livestore", "filestore", "redisstore", "pgstore"}
	var arrows [][]string
	group := ""
	for line := range strings.Lines(picture) {
		line = strings.TrimSpace(line)
		switch {
		case line == "end":
			group = ""
		case subgraph.MatchString(line):
			group = subgraph.FindStringSubmatch(line)[1]
		case box.MatchString(line):
			shown = append(shown, line)
			if group != "" {
				members[group] = append(members[group], line)
			}
		case arrow.MatchString(line):
			arrows = append(arrows, arrow.FindStringSubmatch(line)[1:])
		}
	}
	covers := func(name, pkg string) bool { return name == pkg || slices.Contains(members[name], pkg) }
	used := map[int]bool{0: true, 1: true} // of the application
	require.Equal(t, [][]string{{"app", "bridge"}, {"app", "stores"}}, arrows[:2])
	imported := imports(t)
	require.ElementsMatch(t, slices.Collect(maps.Keys(imported)), shown)
	for from, all := range imported {
		for to := range all {
			drawn := false
			for i, a := range arrows {
				if covers(a[0], from) && covers(a[1], to) {
					used[i], drawn = true, true
				}
			}
			require.True(t, drawn, "%s imports %s, without an arrow", from, to)
		}
	}
	for i, a := range arrows {
		require.True(t, used[i], "nothing in %s imports %s", a[0], a[1])
	}
}

// The tour in bridge/doc.go names each file of the package once.
func TestTourNamesEachFile(t *testing.T) {
	text, err := os.ReadFile(root + "/bridge/doc.go")
	require.NoError(t, err)
	_, tour, ok := strings.Cut(string(text), "\npackage bridge\n")
	require.True(t, ok)
	var files []string
	for _, path := range goFiles(t) {
		if filepath.Dir(path) == "bridge" && !strings.HasSuffix(path, "_test.go") && filepath.Base(path) != "doc.go" {
			files = append(files, filepath.Base(path))
		}
	}
	require.ElementsMatch(t, files, goFile.FindAllString(tour, -1))
}
