package sealed

import (
	"errors"
	"fmt"
)

// ErrUnopenable: the store has the record, but it can't be opened: it has been damaged or changed,
// is of another session or application, was sealed with a key that isn't among the keys, or isn't
// sealed at all. It is not the end of the session. Nothing but Destroy, a sweep and Touch affects
// such a record. Test with errors.Is.
var ErrUnopenable = errors.New("sealed: the record can't be opened")

// Reasons of ErrUnopenable.
var (
	errPlain     = fmt.Errorf("%w: it isn't sealed (Options.ReadPlain reads such records)", ErrUnopenable)
	errFormat    = fmt.Errorf("%w: it is truncated, or of a format that this version doesn't know", ErrUnopenable)
	errForged    = fmt.Errorf("%w: it has been damaged, changed, or copied from another session", ErrUnopenable)
	errOtherID   = fmt.Errorf("%w: the store has answered with the record of another session", ErrUnopenable)
	errPlaintext = fmt.Errorf("%w: its content is not that of a record", ErrUnopenable)
)

func errUnknownKey(id keyID) error {
	return fmt.Errorf("%w: it was sealed with the key %x, which isn't among the keys", ErrUnopenable, id[:])
}
