// Package forwarded reads who a client is, and by which scheme it came, from what the proxies in front of this process say.
//
// A request passes some proxies on its way. Each may write down the peer that it got the request from, at the right end of
// X-Forwarded-For or of Forwarded (RFC 7239), and pass on what it found there. So the right end of a list is the word of the
// nearest proxy, and the left end may be the client's own invention. [Proxies.Addr] begins with the peer of the connection. While
// the peer is a trusted proxy, the next element to the left is its word about the peer before it. The first address that is not
// trusted is the client's; an element that names no address ends the walk at the last address that was known.
//
// A proxy that writes one family of headers usually passes on the other as the client sent it. Neither family can be preferred
// safely, so where both are present and contradict each other, neither counts: the client is then the peer of the connection. A
// client can hide its own address like that, but not take another one. [OnlyXForwarded] and [OnlyForwarded] end the doubt.
//
// X-Forwarded-Host, X-Forwarded-Port, X-Forwarded-Ssl, Front-End-Https, X-Real-Ip and the host of Forwarded are not read.
package forwarded
