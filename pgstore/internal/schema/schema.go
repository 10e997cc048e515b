// Package schema has the tables and functions of a store in PostgreSQL, and brings a database up to
// date with them.
//
// Each version is a few files of SQL, named after it. A version that has been released is never
// changed: a later one alters what it has made. The table schema_version has the current number.
package schema

import (
	"embed"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

//go:embed *.sql
var files embed.FS

// versions are the files of each version, the first one first.
var versions = [][]string{
	{"1_tables.sql", "1_kept.sql", "1_sessions.sql", "1_batches.sql", "1_nodes.sql"},
}

// Version is the current version.
func Version() int { return len(versions) }

// SQL returns the statements that bring the schema with that name from a version, 0 for none, to
// the current one. They are for one transaction.
func SQL(name string, from int) string {
	var sql strings.Builder
	if from == 0 {
		sql.WriteString("CREATE SCHEMA IF NOT EXISTS {{schema}};\n" +
			"CREATE TABLE {{schema}}.schema_version (version integer NOT NULL);\n" +
			"INSERT INTO {{schema}}.schema_version VALUES (0);\n\n")
	}
	for _, names := range versions[from:] {
		for _, name := range names {
			text, err := files.ReadFile(name)
			if err != nil { // impossible: it is embedded
				panic(err)
			}
			sql.Write(text)
			sql.WriteString("\n")
		}
	}
	fmt.Fprintf(&sql, "UPDATE {{schema}}.schema_version SET version = %d;\n", Version())
	return strings.NewReplacer(
		"{{schema}}", Quote(name), "'{{namespace}}", "'"+strings.ReplaceAll(name, "'", "''"),
	).Replace(sql.String())
}

// Quote returns the name as an SQL identifier.
func Quote(name string) string { return pgx.Identifier{name}.Sanitize() }
