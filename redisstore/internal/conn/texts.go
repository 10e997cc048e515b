package conn

import (
	"errors"
	"strconv"

	"github.com/redis/rueidis"
)

// ErrReply is the cause of an ErrDamaged for an invalid reply of a script.
var ErrReply = errors.New("unexpected reply of a script")

// Texts returns the elements of an array reply as text. Missing elements are "".
func Texts(doing string, reply rueidis.RedisMessage) ([]string, error) {
	elements, err := reply.ToArray()
	if err != nil {
		return nil, Damaged(doing, err)
	}
	out := make([]string, len(elements))
	for i := range elements {
		if elements[i].IsNil() {
			continue
		}
		if elements[i].IsInt64() {
			n, _ := elements[i].AsInt64()
			out[i] = strconv.FormatInt(n, 10)
		} else if out[i], err = elements[i].ToString(); err != nil {
			return nil, Damaged(doing, err)
		}
	}
	return out, nil
}
