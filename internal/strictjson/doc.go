// Package strictjson reads the JSON objects that clients send to an API.
//
// It accepts I-JSON (RFC 7493) only: UTF-8 without lone surrogates, no duplicate names, numbers
// that a float64 can hold, and no nesting deeper than [MaxDepth]. [Parse] reads each byte once or
// twice. Names are compared exactly, unlike in encoding/json. The methods of [Object] take its
// fields by name and type; [Object.Err] returns the first failure, or the first field that was not
// asked for. Every error is an [Error] that names the field.
//
// [Merge] applies a merge patch (RFC 7396).
package strictjson
