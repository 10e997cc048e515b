package gateway

import "bytes"

// browserKey says that the session's cookie is to end with the browser's own session, as one does
// that has no age. It is kept with the values, so that it is merged as they are and needs nothing
// of a store; but Clear leaves it.
const browserKey = reservedPrefix + "browser"

var browserMark = []byte(`"` + browserKey + `"`)

// EndsWithBrowser reports whether the cookie of the session with the data is to have no age of
// its own.
func EndsWithBrowser(data []byte) bool {
	if !bytes.Contains(data, browserMark) { // as most don't
		return false
	}
	values, err := parseObject(data)
	return err == nil && values.get(browserKey) != nil
}

// EndWithBrowser says whether the session's cookie is to have no age of its own.
func (d *Draft) EndWithBrowser(on bool) {
	var raw []byte
	if on {
		raw = []byte("true")
	}
	d.PutStored(browserKey, raw)
}

// BrowserKey is the key that EndWithBrowser changes, for KeyEdit.
const BrowserKey = browserKey

// hasMoreThan reports whether there is another key.
func (o *object) hasMoreThan(key string) bool {
	return len(o.fields) > 1 || len(o.fields) == 1 && o.find(key) < 0
}
