package jsclient_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/testkit/programs"
)

func read(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	require.NoError(t, err)
	return string(data)
}

func TestModuleIsSmallerThan4KBCompressed(t *testing.T) {
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	require.NoError(t, err)
	source := read(t, "npm/bridge.js")
	_, err = w.Write([]byte(source))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	t.Logf("bridge.js: %d bytes, %d compressed with gzip", len(source), out.Len())
	require.Less(t, out.Len(), 4096)
}

func TestModuleNeedsNoPolicyBesidesSelf(t *testing.T) {
	source := read(t, "npm/bridge.js")
	for _, forbidden := range []string{
		`\beval\b`, `\bFunction\(`, `innerHTML`, `\.cookie\b`, `localStorage`, `sessionStorage`, `indexedDB`,
	} {
		require.NotRegexp(t, forbidden, source)
	}
	require.NotRegexp(t, `(?m)^import\b`, source, "no dependencies")
}

// The package has what its exports name, what it declares is what it exports, and npm would publish
// exactly that.
func TestPackageIsReadyToPublish(t *testing.T) {
	require.Equal(t, read(t, "../LICENSE"), read(t, "npm/LICENSE"))
	exported := regexp.MustCompile(`(?m)^export (?:const|class|function) (\w+)`)
	names := func(file string) (names []string) {
		for _, m := range exported.FindAllStringSubmatch(read(t, file), -1) {
			names = append(names, m[1])
		}
		slices.Sort(names)
		return names
	}
	require.Equal(t, []string{"RequestError", "connect"}, names("npm/bridge.js"))
	require.Equal(t, names("npm/bridge.js"), names("npm/bridge.d.ts"))

	cmd := exec.CommandContext(t.Context(), programs.Find(t, "npm"), "pack", "--dry-run", "--json", "--offline")
	cmd.Dir = "npm"
	cmd.Env = append(os.Environ(), "npm_config_cache="+t.TempDir(), "npm_config_update_notifier=false")
	cmd.Stderr = t.Output()
	out, err := cmd.Output()
	require.NoError(t, err)
	var packed []struct {
		Name  string
		Files []struct{ Path string }
	}
	require.NoError(t, json.Unmarshal(out, &packed))
	require.Len(t, packed, 1)
	require.Equal(t, "@sessionbridge/client", packed[0].Name)
	var files []string
	for _, f := range packed[0].Files {
		files = append(files, f.Path)
	}
	require.ElementsMatch(t, []string{"LICENSE", "README.md", "bridge.d.ts", "bridge.js", "package.json"}, files)

	// As an application imports it, by its name.
	node := exec.CommandContext(t.Context(), programs.Find(t, "node"), "--input-type=module", "-e",
		`import { connect, RequestError } from "@sessionbridge/client"; console.log(typeof connect, RequestError.name)`)
	node.Dir = "npm"
	node.Stderr = t.Output()
	out, err = node.Output()
	require.NoError(t, err)
	require.Equal(t, "function RequestError\n", string(out))
}
