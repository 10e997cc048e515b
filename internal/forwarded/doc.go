// Package forwarded determines the address and the scheme of a client from the headers of the
// proxies in front of this process.
//
// Each proxy may append the peer that it got the request from to X-Forwarded-For or to Forwarded
// (RFC 7239), and forwards the elements that it found. So the right end of a list was written by
// the nearest proxy, and the left end may have been invented by the client. [Proxies.Addr] begins
// with the peer of the connection. As long as an address is that of a trusted proxy, the next
// element to the left is the peer of that proxy. The first address that is not trusted is the
// client's; an element without an address ends the walk at the last known address.
//
// A proxy that writes one family of headers usually forwards the other one unchanged. Neither
// family can be preferred safely, so if both are present and contradict each other, both are
// ignored: the client is then the peer of the connection. A client can hide its address in this
// way, but can't pretend to have another one. [OnlyXForwarded] and [OnlyForwarded] select one
// family.
//
// X-Forwarded-Host, X-Forwarded-Port, X-Forwarded-Ssl, Front-End-Https, X-Real-Ip and the host of
// Forwarded are not read.
//
// A [Recording] is what may be recorded of the address, and of a User-Agent header.
package forwarded
