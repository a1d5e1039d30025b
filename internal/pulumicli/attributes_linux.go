package pulumicli

import "syscall"

// attributes puts the CLI into a process group of its own, which a terminal's ^C does not reach, and has the kernel
// interrupt it when the driver dies, so that it stops and writes its state instead of running on alone.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGINT}
}
