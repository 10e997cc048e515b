package forwarded

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
)

// Headers says which family of headers counts.
type Headers int

// The families.
const (
	Any            Headers = iota // both; neither where they contradict each other
	OnlyXForwarded                // X-Forwarded-For and X-Forwarded-Proto
	OnlyForwarded                 // Forwarded (RFC 7239)
)

// Proxies are the peers whose word about a client counts. The zero Proxies trusts nobody. It is safe for concurrent use.
type Proxies struct {
	prefixes []netip.Prefix
	zoned    []netip.Addr // trusted in their zone only
	unix     bool
	use      Headers
}

// New returns the Proxies that are trusted: addresses, networks (CIDR), and "unix" for the peers of a unix socket. An IPv6 address with a
// zone is trusted in that zone only. The error says what is wrong with the first entry that is none of these, whose index it is returned with.
func New(trusted []string, use Headers) (p Proxies, index int, err error) {
	p.use = use
	for i, text := range trusted {
		if text == unix {
			p.unix = true
			continue
		}
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			ip, err := netip.ParseAddr(text)
			if err != nil || strings.Contains(ip.Zone(), "/") {
				return Proxies{}, i, fmt.Errorf("%q is neither an address nor a network (10.0.0.0/8) nor %q", text, unix)
			}
			if ip.Zone() != "" {
				p.zoned = append(p.zoned, ip)
				continue
			}
			prefix = netip.PrefixFrom(ip, ip.BitLen())
		}
		if ip := prefix.Addr(); ip.Is4In6() && prefix.Bits() >= 96 { // addresses are compared as IPv4
			prefix = netip.PrefixFrom(ip.Unmap(), prefix.Bits()-96)
		}
		p.prefixes = append(p.prefixes, prefix)
	}
	return p, 0, nil
}

func (p *Proxies) none() bool { return len(p.prefixes) == 0 && len(p.zoned) == 0 && !p.unix }

func (p *Proxies) trusts(n node) bool {
	if n.unix {
		return p.unix
	}
	for _, prefix := range p.prefixes {
		if prefix.Contains(n.ip) {
			return true
		}
	}
	return false
}

func (p *Proxies) trustsPeer(n node, zone string) bool {
	if p.none() {
		return false
	}
	if p.trusts(n) {
		return true
	}
	for _, ip := range p.zoned {
		if zone != "" && n.ip.WithZone(zone) == ip {
			return true
		}
	}
	return false
}

// Addr returns the address of the client, without port and zone, IPv4 as IPv4: "unix" for a peer on a unix socket that says nothing of
// where the request comes from. A RemoteAddr that is no address is returned as it is.
func (p *Proxies) Addr(r *http.Request) string {
	peer, zone := peerOf(r)
	if peer == (node{}) {
		return r.RemoteAddr
	}
	if !p.trustsPeer(peer, zone) {
		return peer.String()
	}
	x, f := p.read(r, peer)
	switch {
	case x.certain && f.certain && x.client != f.client:
		return peer.String()
	case f.certain && !x.certain, f.said && !x.said:
		return f.client.String()
	}
	return x.client.String()
}

// HTTPS reports whether the client came over TLS: as a trusted proxy says, or else as this process sees it.
func (p *Proxies) HTTPS(r *http.Request) bool {
	if p.none() {
		return r.TLS != nil
	}
	if peer, zone := peerOf(r); p.trustsPeer(peer, zone) {
		said, simple := p.simpleScheme(r)
		if !simple {
			said = agreed(p.read(r, peer))
		}
		if said != unsaid {
			return said == secure
		}
	}
	return r.TLS != nil
}

// simpleScheme returns the scheme without a walk where a trusted peer says one and nothing else, as is usual.
func (p *Proxies) simpleScheme(r *http.Request) (said scheme, ok bool) {
	protos := r.Header["X-Forwarded-Proto"]
	if p.use == OnlyForwarded || len(protos) != 1 || strings.Contains(protos[0], ",") || p.use == Any && len(r.Header["Forwarded"]) > 0 {
		return unsaid, false
	}
	return parseScheme(strings.Trim(protos[0], " \t")), true
}

// Ignored returns the name of a header that says something of the client and doesn't count, as the peer is not trusted; "" for none.
func (p *Proxies) Ignored(r *http.Request) (header string) {
	for _, name := range [...]string{"X-Forwarded-For", "X-Forwarded-Proto", "Forwarded"} {
		if _, ok := r.Header[name]; ok {
			if peer, zone := peerOf(r); p.trustsPeer(peer, zone) {
				return ""
			}
			return name
		}
	}
	return ""
}

// Peer returns the peer of the request's connection as it is named in the list of those that are trusted.
func Peer(r *http.Request) string {
	if peer, _ := peerOf(r); peer != (node{}) {
		return peer.String()
	}
	return r.RemoteAddr
}

// scheme is by which one the client came.
type scheme uint8

const (
	unsaid scheme = iota
	plain
	secure
)

// agreed returns the scheme by which the client came. A family that knows no further than to a trusted proxy says something of the
// connection between two proxies, unless it alone says anything.
func agreed(x, f word) scheme {
	switch {
	case x.scheme == unsaid:
		return f.scheme
	case f.scheme == unsaid, x.scheme == f.scheme:
		return x.scheme
	case x.said && !x.certain && f.certain:
		return f.scheme
	case f.said && !f.certain && x.certain:
		return x.scheme
	}
	return unsaid
}

// parseScheme reads an X-Forwarded-Proto, or a proto of Forwarded. Traefik says ws and wss of a WebSocket handshake.
func parseScheme(text string) scheme {
	switch {
	case strings.EqualFold(text, "https"), strings.EqualFold(text, "wss"):
		return secure
	case strings.EqualFold(text, "http"), strings.EqualFold(text, "ws"):
		return plain
	}
	return unsaid
}
