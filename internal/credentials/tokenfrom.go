package credentials

import (
	"context"
	"net/http"
	"strings"
)

// TokenFrom returns the token of a client without cookies. ok reports whether the client doesn't
// use cookies, even if it has no token yet.
type TokenFrom func(r *http.Request) (token string, ok bool)

// TokenFromHeader returns a TokenFrom that reads the named header, with or without "Bearer " before
// the token. A value of another scheme isn't a token.
func TokenFromHeader(name string) TokenFrom {
	name = http.CanonicalHeaderKey(name)
	return func(r *http.Request) (string, bool) {
		noteRead(r, name)
		values := r.Header[name]
		if len(values) == 0 {
			return "", false
		}
		token := strings.TrimSpace(values[0])
		if scheme, rest, _ := strings.Cut(token, " "); strings.EqualFold(scheme, "Bearer") {
			token = strings.TrimSpace(rest)
		}
		return token, !strings.Contains(token, " ")
	}
}

// TokenFromProtocol returns a TokenFrom that reads the offered subprotocol with the prefix; "" is
// TokenPrefix.
func TokenFromProtocol(prefix string) TokenFrom {
	if prefix == "" {
		prefix = TokenPrefix
	}
	return func(r *http.Request) (string, bool) {
		noteRead(r, protocolHeader)
		return offered(r, prefix)
	}
}

// headerReads is a context that collects the names of the headers that a TokenFrom has read: the
// response varies on them.
type headerReads struct {
	context.Context
	names []string
}

type headerReadsKey struct{}

// Value implements context.Context.
func (h *headerReads) Value(key any) any {
	if key == (headerReadsKey{}) {
		return h
	}
	return h.Context.Value(key)
}

func noteRead(r *http.Request, name string) {
	if h, ok := r.Context().Value(headerReadsKey{}).(*headerReads); ok {
		h.names = append(h.names, name)
	}
}
