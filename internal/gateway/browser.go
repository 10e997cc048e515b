package gateway

import "bytes"

// browserKey marks a session whose cookie has no age and so ends with the browser's own session. It
// is kept with the values, so that it is merged as they are and stores needn't know it; but Clear
// leaves it.
const browserKey = reservedPrefix + "browser"

// EndsWithBrowser reports whether the cookie of the session with the data is to have no age.
func EndsWithBrowser(data []byte) bool { return stored(data, browserKey) != nil }

// stored returns the value of one of the library's own keys, nil for none.
func stored(data []byte, key string) []byte {
	if !bytes.Contains(data, []byte(key)) { // the usual case
		return nil
	}
	values, err := parseObject(data)
	if err != nil {
		return nil
	}
	return values.get(key)
}

// NewData returns the data of a session without values.
func NewData(endsWithBrowser bool) []byte {
	if endsWithBrowser {
		return []byte(`{"` + browserKey + `":true}`)
	}
	return []byte("{}")
}

// EndWithBrowser sets whether the session's cookie is to have no age.
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
