// Package faultynet is a network between clients and a server, which a test can disturb: it cuts,
// stalls, refuses and delays connections, and drops what the server sends without being asked.
package faultynet
