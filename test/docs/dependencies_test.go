package docs_test

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	requirement = regexp.MustCompile(`(?m)^(?:require )?\t?(\S+\.\S+/\S+) v\S+$`) // those that aren't indirect
	dependency  = regexp.MustCompile("(?m)^\\| `(\\S+\\.\\S+/\\S+)` \\|")
)

// docs/dependencies.md has a row for each module that go.mod requires directly, and no other.
func TestDependenciesAreThoseOfTheModule(t *testing.T) {
	find := func(file string, pattern *regexp.Regexp) (found []string) {
		text, err := os.ReadFile(filepath.Join(root, file))
		require.NoError(t, err)
		for _, match := range pattern.FindAllStringSubmatch(string(text), -1) {
			found = append(found, match[1])
		}
		return found
	}
	required := find("go.mod", requirement)
	require.NotEmpty(t, required)
	require.ElementsMatch(t, required, find(filepath.Join("docs", "dependencies.md"), dependency))
}
