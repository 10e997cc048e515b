package forwarded

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
)

// Headers selects the families of headers that are used.
type Headers int

// The families of headers.
const (
	Any            Headers = iota // both; neither where they contradict each other
	OnlyXForwarded                // X-Forwarded-For and X-Forwarded-Proto
	OnlyForwarded                 // Forwarded (RFC 7239)
)

// Proxies is the set of trusted peers. The zero Proxies trusts no peer. It is safe for concurrent
// use.
type Proxies struct {
	prefixes []netip.Prefix
	zoned    []netip.Addr // trusted only in their zone
	unix     bool
	use      Headers
}

// New returns the Proxies that trust these addresses and networks (CIDR), and "unix" for the peers
// on a Unix socket. An IPv6 address with a zone is trusted only in that zone. An error is about the
// first invalid entry, whose index is returned with it.
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
				return Proxies{}, i, fmt.Errorf(
					"%q is neither an address nor a network (10.0.0.0/8) nor %q",
					text,
					unix,
				)
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

// Addr returns the address of the client, without port and zone, IPv4 as IPv4. It is "unix" for a
// peer on a Unix socket that doesn't forward an address. A RemoteAddr that is no address is
// returned unchanged.
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

// Network returns the network of an IP address, as a prefix: the /24 of an IPv4 address, the /48 of
// an IPv6 address. Of a network it returns the one that contains it. For any other text it returns
// "".
func Network(addr string) string {
	addr, _, _ = strings.Cut(addr, "/")
	ip, err := netip.ParseAddr(addr)
	if err != nil {
		return ""
	}
	ip, bits := ip.Unmap().WithZone(""), 48
	if ip.Is4() {
		bits = 24
	}
	return netip.PrefixFrom(ip, bits).Masked().String()
}

// HTTPS reports whether the client connected over TLS: according to a trusted proxy, or else
// according to this process's own connection.
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

// simpleScheme is the fast path of scheme for a trusted peer that sends a single scheme and nothing
// else, which is the common case.
func (p *Proxies) simpleScheme(r *http.Request) (said scheme, ok bool) {
	protos := r.Header["X-Forwarded-Proto"]
	if p.use == OnlyForwarded || p.use == Any && len(r.Header["Forwarded"]) > 0 ||
		len(protos) != 1 || strings.Contains(protos[0], ",") {
		return unsaid, false
	}
	return parseScheme(strings.Trim(protos[0], " \t")), true
}

// Ignored returns the name of a forwarding header that is ignored because the peer is not trusted,
// "" if there is none.
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

// Peer returns the peer of the request's connection, as it is named in the list of trusted proxies.
func Peer(r *http.Request) string {
	if peer, _ := peerOf(r); peer != (node{}) {
		return peer.String()
	}
	return r.RemoteAddr
}

// scheme returns the scheme of the client's connection.
type scheme uint8

const (
	unsaid scheme = iota
	plain
	secure
)

// agreed returns the scheme of the client's connection. A family whose last known address is a
// trusted proxy describes the connection between two proxies, and is used only if the other family
// is absent.
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

// parseScheme parses an X-Forwarded-Proto, or a proto of Forwarded. Traefik sends ws and wss for a
// WebSocket handshake.
func parseScheme(text string) scheme {
	switch {
	case strings.EqualFold(text, "https"), strings.EqualFold(text, "wss"):
		return secure
	case strings.EqualFold(text, "http"), strings.EqualFold(text, "ws"):
		return plain
	}
	return unsaid
}
