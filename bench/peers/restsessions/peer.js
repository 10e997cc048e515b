// Serves rest-sessions, whose app.js is unchanged, until standard input ends. The first line of output
// is its port.
"use strict";

const server = require("./app.js").listen(0, "127.0.0.1", () => console.log(server.address().port));
process.stdin.on("end", () => process.exit(0)).resume();
