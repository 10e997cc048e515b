// Package apitest checks package admin against the OpenAPI document that it serves, with the
// validator of github.com/pb33f/libopenapi-validator: what the document says is valid is accepted,
// what it says is invalid is refused, and each answer is one that it describes. It is a module of
// its own because of that validator.
package apitest
