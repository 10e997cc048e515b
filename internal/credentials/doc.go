// Package credentials reads and writes the credentials of a client: the two signed cookies, the
// token of a client without cookies, and the subprotocols that carry a secret.
//
// A [Codec] signs and verifies. A credential names a session and holds its [Token]; a valid
// signature only proves that this application once issued it. It opens the session if [Grace.Prove]
// accepts the token for the stored record. The order is: the Codec reads what a request presents,
// the caller loads the record and proves the token, and the response sets the cookie that the
// request's changes call for. [Successors] derives the next token from the one that it replaces, so
// that a step made twice leads to the same token.
//
// The package promises that a request costs a bounded number of signature checks, that a value
// signed for one name opens nothing under another, and that neither a value nor a key appears in an
// error. It calls no store and logs nothing.
package credentials
