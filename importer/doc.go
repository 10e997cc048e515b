// Package importer takes over the sessions that an application has with another library, so that
// its users stay logged in when it moves to package bridge. Its functions are for
// bridge.Options.Import, whose documentation says what happens to a session.
//
// [FromSCS] is for github.com/alexedwards/scs/v2, [FromGorilla] for any store of
// github.com/gorilla/sessions. For another library write the function yourself.
//
// Values become JSON: a time.Time is a string, a []byte is base64, a struct is an object. A value
// that JSON can't encode is an error that names its key; [Options].UserID may convert or delete it
// before.
package importer
