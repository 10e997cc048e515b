// Package testhub provides an in-memory store.Watcher with every capability: several Bridges of one
// process are nodes that share it, as processes share a Redis. Tests can disconnect nodes, and
// replace what a node does. It keeps the contract of stores, which storetest checks.
package testhub
