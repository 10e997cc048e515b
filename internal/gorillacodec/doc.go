// Package gorillacodec stores the values of gorilla/sessions within a session.
//
// A [Space] is where the values of one session name are. In the [Main] space a value is JSON
// under its own key, where native code reads it too; if its Go type doesn't follow from the JSON,
// an entry under a hidden key holds the type. Values that JSON doesn't keep are stored as gob in
// such an entry, and so are all values of a [Named] space. Neither native code nor a key that a
// client chooses can reach a hidden key.
//
// [Space.Read] returns what a draft holds, [Space.Encode] encodes a session's values, and
// [Space.Change] applies the differences to the draft. An [Attempt] records them, so that a change
// whose outcome is unknown can be undone and repeated. Values of earlier versions, which had one
// space for all names, are read as the main space's until they are changed.
package gorillacodec
