package docs_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The steps of docs/getting-started.md, put together as its text says, are a program that compiles and
// passes its test.
func TestGettingStartedRuns(t *testing.T) {
	text, err := os.ReadFile(root + "/docs/getting-started.md")
	require.NoError(t, err)
	steps := goBlock.FindAllStringSubmatch(string(text), -1)
	require.Len(t, steps, 4, "the program, the login, the store, the test")
	program, login, kept, test := steps[0][1], steps[1][1], steps[2][1], steps[3][1]

	const end = "\treturn b.Handler(mux)\n"
	require.Contains(t, program, end)
	program = strings.Replace(program, end, login+end, 1)
	_, first, ok := strings.Cut(program, "func main() {\n")
	require.True(t, ok)
	first, _, ok = strings.Cut(first, "\tlog.Print(")
	require.True(t, ok)
	durable := strings.Replace(program, first, kept+"\tif err != nil {\n\t\tlog.Fatal(err)\n\t}\n", 1)
	durable = strings.Replace(durable, `/livestore"`, `/filestore"`, 1)
	test = "package main\n\n" + regexp.MustCompile(`(?m)^var newApp.*\n`).ReplaceAllString(test, "")

	temp := t.TempDir()
	here, err := filepath.Abs(root)
	require.NoError(t, err)
	replace := map[string]string{}
	for name, code := range map[string]string{
		"memory/main.go": program, "memory/main_test.go": test, "file/main.go": durable, "file/main_test.go": test,
	} {
		file := filepath.Join(temp, strings.ReplaceAll(name, "/", "_"))
		require.NoError(t, os.WriteFile(file, []byte(code), 0o600))
		replace[filepath.Join(here, "zz_gettingstarted", filepath.FromSlash(name))] = file
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(temp, "overlay.json"), overlay, 0o600))
	for _, variant := range []string{"memory", "file"} { // with filestore, the test has its own store, but main compiles
		binary := filepath.Join(temp, variant+".test")
		build := exec.CommandContext(t.Context(), "go", "test", "-c", "-vet=off", "-o", binary,
			"-overlay", filepath.Join(temp, "overlay.json"), "./zz_gettingstarted/"+variant)
		build.Dir = here
		out, err := build.CombinedOutput()
		require.NoError(t, err, "%s", out)
		run := exec.CommandContext(t.Context(), binary, "-test.v")
		run.Dir = temp
		out, err = run.CombinedOutput()
		require.NoError(t, err, "%s", out)
		require.Contains(t, string(out), "--- PASS: TestLogoutClosesTheSocket")
	}
}
