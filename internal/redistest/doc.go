// Package redistest starts Redis servers for tests: each private to its test, on a free port of the loopback interface, with a folder of its own,
// and gone with it.
package redistest
