package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// moduleOf returns the folder of a module with these files.
func moduleOf(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	files["go.mod"] = "module example.test/m\n\ngo 1.25\n"
	for name, text := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	return dir
}

const code = `package p

import (
	"context"
	"io"
)

const (
	Limit  = 1 << 10
	Name   Kind = "a\nb"
	hidden = 1
)

var ErrX, errY error

type Kind string

func (k Kind) String() string { return "" }

type Key[T any] struct{ name string }

func (k Key[T]) Get(ctx context.Context) (v T, ok bool) { return }
func (k *Key[T]) Reset()                              {}
func (k *Key[T]) unseen()                             {}

type base struct{}

func (base) Promoted() {}

type Conn struct {
	io.Reader
	base
	ID     string
	closed bool
}

type Store interface {
	io.Closer
	Get(id string) (Kind, error)
	private()
}

type Reader = io.Reader

func New[T ~string](names ...T) (*Conn, error) { return nil, nil }
func local()                                   {}
`

func TestListHasEachExportedName(t *testing.T) {
	dir := moduleOf(t, map[string]string{
		"p/p.go":                 "//go:build linux\n\n" + code,
		"p/p_other.go":           "//go:build !linux\n\npackage p\n\nvar Other int\n",
		"internal/q/q.go":        "package q\n\nvar Q int\n",
		"cmd/x/main.go":          "package main\n\nfunc main() {}\n",
		"test/only/only_test.go": "package only\n",
	})
	packages, err := load(dir)
	require.NoError(t, err)
	require.Len(t, packages, 1)
	require.Equal(t, `package example.test/m/p

const Limit untyped int = 1024
const Name Kind = "a\nb"
func New[T ~string](names ...T) (*Conn, error)
method (*Key[T any]) Reset()
method (Conn) Promoted()
method (Conn) Read(p []byte) (n int, err error)
method (Key[T any]) Get(ctx context.Context) (v T, ok bool)
method (Kind) String() string
type Conn struct
type Conn struct, ID string
type Conn struct, embeds io.Reader
type Key[T any] struct
type Kind string
type Reader = io.Reader
type Store interface
type Store interface, Close() error
type Store interface, Get(id string) (Kind, error)
type Store interface, with unexported methods
var ErrX error
`, list(packages[0].types, packages[0].path))
}

func TestCheckFindsEachChange(t *testing.T) {
	dir, api := moduleOf(t, map[string]string{"p/p.go": code, "q/q.go": "package q\n\nvar Q int\n"}), filepath.Join(t.TempDir(), "api")
	check := func() (string, bool) {
		var out bytes.Buffer
		same, err := run(&out, api, []string{dir}, true)
		require.NoError(t, err)
		return out.String(), same
	}
	_, same := check()
	require.False(t, same, "nothing is listed yet")
	_, err := run(nil, api, []string{dir}, false)
	require.NoError(t, err)
	out, same := check()
	require.True(t, same, out)
	require.Empty(t, out)

	require.NoError(t, os.WriteFile(filepath.Join(dir, "p", "more.go"), []byte("package p\n\nfunc More() {}\n"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "q", "q.go"), []byte("package q\n\nvar Q int64\n"), 0o600))
	out, same = check()
	require.False(t, same)
	require.Contains(t, out, "p.txt:\n+ func More()\n")
	require.Contains(t, out, "q.txt:\n- var Q int\n+ var Q int64\n")

	require.NoError(t, os.RemoveAll(filepath.Join(dir, "q")))
	out, same = check()
	require.False(t, same)
	require.Contains(t, out, "- var Q int\n", "a package is gone")
	_, err = run(nil, api, []string{dir}, false)
	require.NoError(t, err)
	_, same = check()
	require.True(t, same)
}

func TestModuleThatDoesNotCompileIsAnError(t *testing.T) {
	_, err := load(moduleOf(t, map[string]string{"p/p.go": "package p\n\nvar V undefined\n"}))
	require.ErrorContains(t, err, "undefined")
}

func TestExamplesThatAreMissing(t *testing.T) {
	dir := moduleOf(t, map[string]string{
		"p/p.go": code,
		"p/example_test.go": "package p_test\n\nimport \"example.test/m/p\"\n\n" +
			"func ExampleNew() { c, _ := p.New(\"\"); c.Promoted() }\n",
		"p/p_test.go": "package p_test\n\nimport \"example.test/m/p\"\n\nvar k p.Key[int]\n\nfunc helper() { k.Reset() }\n",
	})
	var out bytes.Buffer
	require.NoError(t, runExamples(&out, []string{dir}))
	require.Equal(t, "example.test/m/p.Conn.Read\nexample.test/m/p.Key.Get\nexample.test/m/p.Key.Reset\n", out.String())
}
