//go:build !linux

package pulumicli

import "syscall"

// attributes puts the CLI into a separate process group, which a terminal's ^C does not reach.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
