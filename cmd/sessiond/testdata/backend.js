// A backend that knows nothing of sessions but the headers of the proxy: it tells who the visitor is,
// logs users in and out by headers of its answers, and echoes the messages of a WebSocket. It prints
// its port, and how each WebSocket ends.
const http = require('node:http')
const crypto = require('node:crypto')

const user = (req) => decodeURIComponent(req.headers['x-session-user'])

const server = http.createServer((req, res) => {
	const url = new URL(req.url, 'http://backend')
	if (url.pathname === '/login' || url.pathname === '/logout') {
		res.setHeader('X-Session-Grant', req.headers['x-session-grant'])
		if (url.pathname === '/login') res.setHeader('X-Session-Login', encodeURIComponent(url.searchParams.get('user')))
		else res.setHeader('X-Session-Logout', '1')
	}
	res.end(user(req))
})

const text = (s) => {
	const data = Buffer.from(s) // less than 126 bytes
	return Buffer.concat([Buffer.from([0x81, data.length]), data])
}

server.on('upgrade', (req, socket, rest) => {
	const accept = crypto.createHash('sha1')
		.update(req.headers['sec-websocket-key'] + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11').digest('base64')
	socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
		`Sec-WebSocket-Accept: ${accept}\r\n\r\n`)
	socket.write(text('hello ' + user(req)))
	let buffer = rest
	socket.on('error', () => {})
	socket.on('data', (data) => {
		buffer = Buffer.concat([buffer, data])
		while (buffer.length >= 6 && buffer.length >= 6 + (buffer[1] & 127)) { // short frames, masked
			if (buffer[0] < 128) socket.destroy() // it takes no message in pieces
			const [opcode, length, mask] = [buffer[0] & 15, buffer[1] & 127, buffer.subarray(2, 6)]
			const body = Buffer.from(buffer.subarray(6, 6 + length).map((b, i) => b ^ mask[i % 4]))
			buffer = buffer.subarray(6 + length)
			if (opcode === 1) socket.write(text('echo ' + body))
			if (opcode === 8) {
				console.log('closed ' + body.readUInt16BE())
				socket.end(Buffer.concat([Buffer.from([0x88, 2]), body.subarray(0, 2)]))
			}
		}
	})
})

server.listen(0, '127.0.0.1', () => console.log(server.address().port))
process.stdin.on('end', () => process.exit()).resume() // with the test
