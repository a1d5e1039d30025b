// Package pack judges the resources of one stack by a list of rules.
//
// A [Session] holds what the stack has chosen: its profile, and the level and properties of each rule in the policy
// config. Package analyzer wraps a session in the engine's protocol; package state runs one on an exported state.
package pack
