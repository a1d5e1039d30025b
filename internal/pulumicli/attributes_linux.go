package pulumicli

import "syscall"

// attributes puts the CLI into a separate process group, which a terminal's ^C does not reach. If the driver dies, the
// kernel interrupts the CLI, so that it stops and writes its state.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGINT}
}
