// Package redistest starts Redis servers for tests. Each is private to its test, has a free port of
// the loopback interface and a directory of its own, and ends with the test.
package redistest
