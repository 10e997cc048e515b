// Package eventjson gives the events of a Bridge names and a form in JSON, for programs that are not
// written in Go. The names and fields are an interface: new ones may come, none changes.
package eventjson
