package capabilities

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/testkit/testmain"
)

func TestMain(m *testing.M) { testmain.Run(m) }

// TestEveryCapabilityIsKnown: an interface that is added to package store must be added here, and to
// the stores around others.
func TestEveryCapabilityIsKnown(t *testing.T) {
	files, err := filepath.Glob("../../../store/*.go")
	require.NoError(t, err)
	found := map[string]bool{"Closer": true} // of package io
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if ok {
				if _, is := spec.Type.(*ast.InterfaceType); is && !strings.HasSuffix(name, "_test.go") {
					found[spec.Name.Name] = true
				}
			}
			return true
		})
	}
	delete(found, "Store")
	delete(found, "Node") // what a Watcher returns
	for name := range found {
		require.Contains(t, capabilities, name)
	}
	require.Len(t, capabilities, len(found))
}
