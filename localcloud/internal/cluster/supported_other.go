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

// Start returns an error: the local cloud runs only on Linux.
func Start(context.Context, Project, StartOptions, io.Writer) error { return unsupported() }

// Build returns an error: the local cloud runs only on Linux.
func Build(context.Context, Project, io.Writer) error { return unsupported() }

// Stop returns an error: the local cloud runs only on Linux.
func Stop(context.Context, Project, bool, io.Writer) error { return unsupported() }

// Show returns an error: the local cloud runs only on Linux.
func Show(context.Context, Project, bool, io.Writer) error { return unsupported() }

// Logs returns an error: the local cloud runs only on Linux.
func Logs(context.Context, Project, string, bool, io.Writer) error { return unsupported() }

// Load returns an error: the local cloud runs only on Linux.
func Load(context.Context, Project, string, string, io.Writer) error { return unsupported() }

// Init returns an error: the local cloud runs only on Linux.
func Init(Project, StartOptions) error { return unsupported() }

// Supervise returns an error: the local cloud runs only on Linux.
func Supervise(context.Context, Project, StartOptions, *os.File, *os.File) error {
	return unsupported()
}

// Fail fails here.
func Fail(context.Context, Project, Fault, io.Writer) error { return unsupported() }

// EndFaults fails here.
func EndFaults(context.Context, Project, io.Writer) error { return unsupported() }
