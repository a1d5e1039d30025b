//go:build !linux

package cluster

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
)

func unsupported() error {
	return fmt.Errorf(
		"the local cloud needs Linux (namespaces, cgroups, nftables) and this is %s: use a Linux machine or virtual "+
			"machine", runtime.GOOS,
	)
}

// Start is for Linux only.
func Start(context.Context, Project, StartOptions, io.Writer) error { return unsupported() }

// Build is for Linux only.
func Build(context.Context, Project, io.Writer) error { return unsupported() }

// Stop is for Linux only.
func Stop(context.Context, Project, bool, io.Writer) error { return unsupported() }

// Show is for Linux only.
func Show(context.Context, Project, bool, io.Writer) error { return unsupported() }

// Logs is for Linux only.
func Logs(context.Context, Project, string, bool, io.Writer) error { return unsupported() }

// Init is for Linux only.
func Init(Project, StartOptions) error { return unsupported() }

// Supervise is for Linux only.
func Supervise(context.Context, Project, StartOptions, *os.File, *os.File) error {
	return unsupported()
}
