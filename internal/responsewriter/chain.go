package responsewriter

import (
	"net/http"
	"reflect"
)

// unwrap returns the writer below w; nil if w doesn't tell.
func unwrap(w http.ResponseWriter) http.ResponseWriter {
	if u, ok := w.(interface{ Unwrap() http.ResponseWriter }); ok {
		return u.Unwrap()
	}
	return nil
}

// Begun reports whether the header of a response has been sent by w or a writer below it, as far as
// they tell: those of gin, negroni, chi and echo do, that of net/http doesn't.
func Begun(w http.ResponseWriter) bool {
	for ; w != nil; w = unwrap(w) {
		switch t := w.(type) {
		case interface{ Written() bool }: // gin, negroni
			return t.Written()
		case interface{ BytesWritten() int }: // chi
			if t.BytesWritten() > 0 {
				return true
			}
		case interface {
			Before(func())
			After(func())
		}: // echo, which tells it by a field
			committed := reflect.Indirect(reflect.ValueOf(w)).FieldByName("Committed")
			return committed.Kind() == reflect.Bool && committed.Bool()
		}
	}
	return false
}

// SendHeader sends the header of a response whose status has been written, where the framework
// below delays that until there is a body: an upgrade has none. gin delays it and has the method
// WriteHeaderNow for this.
func SendHeader(w http.ResponseWriter) {
	for ; w != nil; w = unwrap(w) {
		if late, ok := w.(interface{ WriteHeaderNow() }); ok {
			late.WriteHeaderNow()
			return
		}
	}
}
