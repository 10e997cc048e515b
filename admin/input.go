package admin

import (
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/strictjson"
)

// longest is the longest duration that the Bridge accepts: 100 years.
const longest = 100 * 365 * 24 * time.Hour

var secondsRange = fmt.Sprintf("it must be a number of seconds from %v to %d",
	bridge.MinTimeout.Seconds(), int(longest.Seconds()))

// toDuration converts a number of seconds.
func toDuration(seconds float64) (time.Duration, bool) {
	if !(seconds >= bridge.MinTimeout.Seconds() && seconds <= longest.Seconds()) {
		return 0, false
	}
	return time.Duration(math.Round(seconds*1000)) * time.Millisecond, true
}

// seconds returns a duration of the object, 0 if it is absent.
func seconds(o *strictjson.Object, field string) time.Duration {
	n, ok := o.Number(field)
	if !ok {
		return 0
	}
	d, ok := toDuration(n)
	if !ok {
		o.Fail(field, secondsRange)
	}
	return d
}

// secondsOrNull is seconds, but Off for null.
func secondsOrNull(o *strictjson.Object, field string) time.Duration {
	if o.IsNull(field) {
		o.Raw(field)
		return bridge.Off
	}
	return seconds(o, field)
}

// querySeconds returns a duration of the URL's query, 0 if it is absent.
func querySeconds(q map[string]string, name string) (time.Duration, error) {
	text, ok := q[name]
	if !ok {
		return 0, nil
	}
	n, err := strconv.ParseFloat(text, 64)
	d, ok := toDuration(n)
	if err != nil || !ok || strings.ContainsAny(text, "xXpP_") {
		return 0, badField(name, secondsRange)
	}
	return d, nil
}

// queryInt returns an integer of the URL's query, def if it is absent.
func queryInt(q map[string]string, name string, def, least, most int) (int, error) {
	text, ok := q[name]
	if !ok {
		return def, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < least || n > most {
		return 0, badField(name, fmt.Sprintf("it must be an integer from %d to %d", least, most))
	}
	return n, nil
}

const maxUser = 255

// user returns the ID of a user, "" if it is absent.
func user(o *strictjson.Object, field string) string {
	id := o.String(field)
	if o.Has(field) && !isUser(id) {
		o.Fail(field, "it must be 1 to 255 bytes without NUL")
	}
	return id
}

// isUser reports whether a user can have the ID. JSON is UTF-8.
func isUser(id string) bool { return id != "" && len(id) <= maxUser && strings.IndexByte(id, 0) < 0 }

// requireUser is user, which must be there.
func requireUser(o *strictjson.Object, field string) string {
	if !o.Has(field) {
		o.Fail(field, "it is required")
	}
	return user(o, field)
}

// id returns the ID of a session or a client, "" if it is absent.
func id(o *strictjson.Object, field string) string {
	v := o.String(field)
	if o.Has(field) && !isID(v) {
		o.Fail(field, "it must be a UUID in lower case")
	}
	return v
}

// isID reports whether a session or a client can have the ID.
func isID(text string) bool {
	u, err := uuid.Parse(text)
	return err == nil && u.String() == text
}

// ids returns a list of IDs of sessions.
func ids(o *strictjson.Object, field string, n int) []string {
	all := o.Strings(field, n)
	for i, v := range all {
		if !isID(v) {
			o.Fail(fmt.Sprintf("%s.%d", field, i), "it must be a UUID in lower case")
		}
	}
	return all
}

// isConnID reports whether a connection can have the ID: see bridge.ConnOptions.ID.
func isConnID(text string) bool { return len(text) <= 100 && isWord(text) }

// connID returns the ID of a connection, "" if it is absent.
func connID(o *strictjson.Object, field string) string {
	v := o.String(field)
	if o.Has(field) && !isConnID(v) {
		o.Fail(field, "it must have 1 to 100 letters, digits, _ and -")
	}
	return v
}

// shortText returns a string of at most n bytes, "" if it is absent. One that is there isn't empty.
func shortText(o *strictjson.Object, field string, n int) string {
	v := o.String(field)
	if o.Has(field) && (v == "" || len(v) > n) {
		o.Fail(field, fmt.Sprintf("it must be 1 to %d bytes", n))
	}
	return v
}

// addr returns an IP address without a port, "" if it is absent.
func addr(o *strictjson.Object, field string) string {
	v := o.String(field)
	if !o.Has(field) {
		return ""
	}
	ip, err := netip.ParseAddr(v)
	if err != nil {
		o.Fail(field, "it must be an IP address")
		return ""
	}
	return ip.WithZone("").String()
}

// values returns the values of a session, nil if the field is absent.
func values(o *strictjson.Object, field string) map[string]any {
	in := o.Object(field)
	if in == nil {
		return nil
	}
	all := make(map[string]any)
	for key, raw := range in.All() {
		all[key] = raw
	}
	return all
}
