package main

import "errors"

// absent is why something can't be measured on this machine: the table says it in the place of
// figures, and everything else is measured.
type absent string

// Error implements error.
func (a absent) Error() string { return string(a) }

// absence returns why a side can't be measured here; "": that isn't it.
func absence(err error) string {
	var why absent
	if errors.As(err, &why) {
		return string(why)
	}
	return ""
}
