//go:build !linux

package pulumicli

import "syscall"

// attributes puts the CLI into a process group of its own, which a terminal's ^C does not reach.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
