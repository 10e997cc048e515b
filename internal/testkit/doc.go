// Package testkit provides the application that most tests of bridge use, and helpers about its
// sessions, connections and events. Packages below it provide clients (webclient), stores
// (teststore), nodes (testhub), waits (await) and the TestMain of a package (testmain); endtoend is
// an application over real connections.
//
// Helpers fail the test that passes its testing.TB. Only tests import testkit.
package testkit
