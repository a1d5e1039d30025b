// Package safefile replaces files atomically and locks folders between processes.
package safefile
