// Package testmain runs the tests of a package and checks that they leave no goroutine behind.
package testmain
