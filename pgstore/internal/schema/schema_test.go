package schema

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestNameIsQuoted: no name of a schema is a part of the SQL around it.
func TestNameIsQuoted(t *testing.T) {
	sql := SQL(`a"b'c`, 0)
	require.Contains(t, sql, `CREATE TABLE "a""b'c".sessions (`)
	require.Contains(t, sql, `hashtextextended('a"b''c:' ||`)
	require.NotContains(t, sql, "{{")
}

// TestVersions: SQL has the versions that are missing, and sets the current one.
func TestVersions(t *testing.T) {
	require.Contains(t, SQL("s", 0), "CREATE SCHEMA")
	current := SQL("s", Version())
	require.NotContains(t, current, "CREATE")
	require.Contains(t, current, "SET version = 1;")
}
