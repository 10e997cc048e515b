// A backend that knows nothing of sessions: it tells who the proxy says the visitor is, over HTTP and
// over a WebSocket. It prints its port.
const http = require('node:http')
const crypto = require('node:crypto')

const who = (req) => JSON.stringify({
	session: req.headers['x-session-id'] ?? '',
	user: decodeURIComponent(req.headers['x-session-user'] ?? ''),
	name: decodeURIComponent(req.headers['x-session-name'] ?? ''),
	key: req.headers['x-api-key'] ?? '',
	// headers that other backends take for those of the proxy
	alike: Object.keys(req.headers).filter((name) => /^x.session./.test(name) && !name.startsWith('x-session-')).join(),
})

const server = http.createServer((req, res) => res.end(who(req)))

server.on('upgrade', (req, socket) => {
	const accept = crypto.createHash('sha1')
		.update(req.headers['sec-websocket-key'] + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11').digest('base64')
	socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
		`Sec-WebSocket-Accept: ${accept}\r\n\r\n`)
	const text = Buffer.from(who(req)) // 126 to 65535 bytes
	const head = text.length < 126 ? Buffer.from([0x81, text.length]) : Buffer.from([0x81, 126, text.length >> 8, text.length & 255])
	socket.on('error', () => {})
	socket.write(Buffer.concat([head, text]))
})

server.listen(0, '127.0.0.1', () => console.log(server.address().port))
process.stdin.on('end', () => process.exit()).resume() // with the test
