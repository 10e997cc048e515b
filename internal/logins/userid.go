package logins

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// ErrUserID is returned for the ID of a user that can't log in. The bridge exports it.
var ErrUserID = errors.New("bridge: not a user ID")

const maxUserID = 255 // bytes

// CheckUserID returns ErrUserID for an ID that no user can have.
func CheckUserID(id string) error {
	if id == "" || len(id) > maxUserID || !utf8.ValidString(id) || strings.IndexByte(id, 0) >= 0 {
		return fmt.Errorf("%w: it is 1 to %d bytes of UTF-8 without NUL", ErrUserID, maxUserID)
	}
	return nil
}
