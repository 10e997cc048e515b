// Package browsertest runs the demo and the browser client in a real browser. It is a module of its
// own, so that applications that import the library don't pull in what drives the browser.
package browsertest
