// Package pgtest starts PostgreSQL servers for tests. Each has a free port of the loopback
// interface and a directory of its own, and ends with the test, or with the tests of the package if
// they share it. The tests of a shared server use a schema each.
package pgtest
