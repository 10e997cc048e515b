package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// fence returns a Go block; info follows the language.
func fence(info, code string) string {
	return "```go" + info + "\n" + code + "\n```\n"
}

func TestExtractFindsGoBlocksOnly(t *testing.T) {
	blocks, err := extract("doc.md", strings.Join([]string{
		"# Title", "```go", "a := 1", "```", "```sh", "go build", "```", "text ```go``` text",
		"~~~~go in=compat skip", "~~~", "~~~~",
		"- item", "  ``` go", "  if x {", "  \ty()", "  }", "  ```", "",
	}, "\n"))
	require.NoError(t, err)
	require.Equal(t, []block{
		{file: "doc.md", line: 3, dir: ".", code: "a := 1\n"},
		{file: "doc.md", line: 10, dir: "compat", skip: true, code: "~~~\n"},
		{file: "doc.md", line: 14, dir: ".", code: "if x {\n\ty()\n}\n"},
	}, blocks)
}

func TestExtractErrors(t *testing.T) {
	_, err := extract("doc.md", "```go\n")
	require.ErrorContains(t, err, "doc.md:1: the last fenced block isn't closed")
	_, err = extract("doc.md", "```go skipp\n```\n")
	require.ErrorContains(t, err, `doc.md:1: unknown word "skipp"`)
}

func TestImportName(t *testing.T) {
	for line, want := range map[string]string{
		`"net/http"`:      "http",
		`h "net/http"`:    "h",
		`"math/rand/v2"`:  "rand",
		`"example.com/v"`: "example.com",
		`"errors"`:        "errors",
	} {
		require.Equal(t, want, importName(line), line)
	}
}

// module creates a module with the packages bridge and internal/gateway, and returns its directory.
func module(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":                      "module example.com/m\n\ngo 1.25.0\n",
		"bridge/bridge.go":            "package bridge\n\ntype Bridge struct{}\n\nfunc New() (*Bridge, error) { return nil, nil }\n",
		"internal/gateway/gateway.go": "package gateway\n",
		"nested/go.mod":               "module example.com/m/nested\n\ngo 1.25.0\n",
		"nested/only/only.go":         "package only\n",
	} {
		file := filepath.Join(root, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o700))
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	}
	return root
}

func TestRun(t *testing.T) {
	root := module(t)
	tests := map[string]struct {
		doc  string
		want string // in the error, "" for none
	}{
		"no code":            {"# Title\n", ""},
		"a complete program": {fence("", "package main\n\nfunc main() {}"), ""},
		"two of them":        {strings.Repeat(fence("", "package main\n\nfunc main() {}"), 2), ""},
		"declarations":       {fence("", "type cart struct{ n int }") + fence("", "func (c cart) empty() bool { return c.n == 0 }"), ""},
		"a table's names":    {fence("", `http.Error(w, r.URL.Path, 500)`) + fence("", `fmt.Println(b, ctx.Err())`), ""},
		"earlier variables":  {fence("", "x := 1") + fence("", "y := x") + fence("", "x := \"again\"\nlog.Print(x, y)"), ""},
		"a shadowed package": {fence("", "slices := []int{1}") + fence("", "_ = slices[0]"), ""},
		"an unused variable": {fence("", "br, err := bridge.New()"), ""},
		"return with value":  {fence("", "if b == nil {\n\treturn errors.New(\"none\")\n}") + fence("", "return"), ""},
		"written imports":    {fence("", "import h \"net/http\"\n\nh.Error(w, \"\", 500)") + fence("", "import \"net/http\"\n\nvar _ http.Handler"), ""},
		"a nested module":    {fence(" in=nested", "import _ \"example.com/m/nested/only\""), ""},
		"skipped":            {fence(" skip", "func New() (*Bridge, error"), ""},

		"an undefined name":    {"\n\n" + fence("", "x := 1\nmissing(x)"), "doc.md:5:1: undefined: missing"},
		"in a program":         {"\n" + fence("", "package main\n\nfunc main() { missing() }"), "doc.md:5:15: undefined: missing"},
		"broken statements":    {fence("", "x := 1\nif {\n"), "doc.md:3:"},
		"broken declarations":  {fence("", "type a int\nfunc f( {"), "doc.md:3:"},
		"what isn't a bridge":  {fence("", "b.Nothing()"), "doc.md:2:3: b.Nothing undefined"},
		"a reader's internals": {fence("", "import _ \"example.com/m/internal/gateway\""), "a reader can't import"},
		"and in a program":     {fence("", "package main\n\nimport _ \"example.com/m/internal/gateway\""), "a reader can't import"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			doc := filepath.Join(t.TempDir(), "doc.md")
			require.NoError(t, os.WriteFile(doc, []byte(tt.doc), 0o600))
			err := run(&strings.Builder{}, root, []string{doc})
			if tt.want == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, tt.want)
			}
		})
	}
	require.NoDirExists(t, filepath.Join(root, "zz_readmecheck"))
}

func TestDocumentsWantsAReadme(t *testing.T) {
	t.Chdir(t.TempDir())
	_, err := documents(nil)
	require.ErrorIs(t, err, os.ErrNotExist)

	require.NoError(t, os.Mkdir("docs", 0o700))
	for _, name := range []string{"README.md", "docs/redis.md"} {
		require.NoError(t, os.WriteFile(name, nil, 0o600))
	}
	files, err := documents(nil)
	require.NoError(t, err)
	require.Equal(t, []string{"README.md", "docs/redis.md"}, files)
}

func TestExcerptsAreInTheirFile(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "x.go"), []byte("package x\n\nvar A = 1\nvar B = 2\n\nfunc f() {\n\tx()\n}\n"), 0o600))
	blocks, err := extract("doc.md", fence(" file=x.go", "var A = 1\nvar B = 2")+fence(" file=x.go", "x()")+fence("", "y()"))
	require.NoError(t, err)
	others, excerpts, err := takeExcerpts(dir, blocks)
	require.NoError(t, err)
	require.Equal(t, 2, excerpts)
	require.Len(t, others, 1)

	for code, from := range map[string]string{"var A = 2": "x.go", "var A = 1": "gone.go"} {
		blocks, err = extract("doc.md", fence(" file="+from, code))
		require.NoError(t, err)
		_, _, err = takeExcerpts(dir, blocks)
		require.ErrorContains(t, err, "doc.md:2: ")
	}
}
