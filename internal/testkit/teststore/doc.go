// Package teststore provides stores that fail, block or lose replies when a test says so, and
// stores without optional capabilities. They are in memory and don't depend on bridge.
package teststore
