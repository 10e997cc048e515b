package allowance

import "net/netip"

// Subscriber returns what of an IP address counts as one client: an IPv4 address, or the /64 of IPv6 that
// a single subscriber has.
func Subscriber(addr string) string {
	ip, err := netip.ParseAddr(addr)
	if err != nil || ip.Unmap().Is4() {
		return addr
	}
	prefix, err := ip.WithZone("").Prefix(64)
	if err != nil {
		return addr
	}
	return prefix.String()
}
