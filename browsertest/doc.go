// Package browsertest runs the example application in a real browser. It is a module of its own, so
// that applications that import the library don't pull in what drives the browser.
package browsertest
