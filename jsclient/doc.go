// Package jsclient has the client for browsers, and what a server needs for it.
//
// The client is one ES module, npm/bridge.js, which has no dependencies and needs no build step. It
// reconnects, follows the close codes of the Bridge, queues messages while there is no connection, and
// sends requests that are answered. [Handler] serves it:
//
//	mux.Handle("GET /bridge.js", jsclient.Handler())
//	mux.Handle("GET /ws", jsclient.Requests(b, answer, nil))
//
// A page uses it like this:
//
//	<script type="module">
//		import { connect } from "/bridge.js";
//		const client = connect("/ws");
//		client.on("message", e => console.log(e.data));
//		const total = await client.request({ add: 1 });
//	</script>
//
// [Requests] answers the client's requests; a client without requests works with any handler of
// package bridge. The folder npm is a package for npm. docs/clients.md documents the client and the
// form of requests and answers on the wire.
package jsclient
