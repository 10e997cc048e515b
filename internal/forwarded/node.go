package forwarded

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
)

// unix is the name of peers on a Unix socket, which have no address.
const unix = "unix"

// node is one end of a connection: an IP address, or the peer on a Unix socket. The zero node is
// unknown.
type node struct {
	ip   netip.Addr // without a zone, and IPv4 as IPv4
	unix bool
}

func (n node) String() string {
	if n.unix {
		return unix
	}
	return n.ip.String()
}

func ipNode(ip netip.Addr) node { return node{ip: ip.Unmap().WithZone("")} }

// parseIP parses an IP address, with or without a port: a middleware may have removed that.
func parseIP(text string) (netip.Addr, bool) {
	if ap, err := netip.ParseAddrPort(text); err == nil {
		return ap.Addr(), true
	}
	ip, err := netip.ParseAddr(text)
	return ip, err == nil
}

// ClientAddr returns the address of a client, which the application gives in a field, as
// [Proxies.Addr] returns it; "" remains.
func ClientAddr(field, addr string) (string, error) {
	if addr == "" {
		return "", nil
	}
	ip, ok := parseIP(addr)
	if !ok {
		return "", fmt.Errorf("bridge: %s: %.60q is not an IP address, with or without a port (leave it empty for none)",
			field, addr)
	}
	return ipNode(ip).String(), nil
}

// peerOf returns the peer of the request's connection, and its zone. On a Unix socket RemoteAddr is
// "@" or "" for a peer without a name, which is the common case.
func peerOf(r *http.Request) (n node, zone string) {
	remote := r.RemoteAddr
	if ip, ok := parseIP(remote); ok {
		return ipNode(ip), ip.Zone()
	}
	if remote != "" && (remote[0] == '@' || remote[0] == '/') {
		return node{unix: true}, ""
	}
	if local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok && local.Network() == unix {
		return node{unix: true}, ""
	}
	return node{}, ""
}

// parseNode parses an element of X-Forwarded-For, or a node of Forwarded (RFC 7239 §6), with or
// without a port. IPv6 addresses require brackets only with a port. A Unix socket is "unix:", as
// nginx writes it. Everything else is unknown: "unknown", "_hidden".
func parseNode(text string) (node, bool) {
	if text == unix || strings.HasPrefix(text, unix+":") {
		return node{unix: true}, true
	}
	host := text
	if inner, ok := strings.CutPrefix(text, "["); ok {
		end, rest, closed := strings.Cut(inner, "]")
		if !closed || rest != "" && !validPort(rest) || !strings.Contains(end, ":") {
			return node{}, false
		}
		host = end
	} else if i := strings.IndexByte(text, ':'); i >= 0 && i == strings.LastIndexByte(text, ':') {
		if !validPort(text[i:]) {
			return node{}, false
		}
		host = text[:i]
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return node{}, false
	}
	return ipNode(ip), true
}

// validPort reports whether text is a colon and a port, which may be obfuscated (RFC 7239 §6.3).
func validPort(text string) bool {
	port := text[1:]
	if text[0] != ':' || port == "" {
		return false
	}
	if port[0] == '_' {
		return true
	}
	_, err := strconv.ParseUint(port, 10, 16)
	return err == nil && port[0] != '+'
}
