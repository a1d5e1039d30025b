package analyzer

import (
	"fmt"
	"io"

	"github.com/pulumi/pulumi/sdk/v3/go/common/util/rpcutil"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc"

	"dbtier/policy/pack"
)

// Serve serves a pack on a free port of this machine. It writes the port to out, as the engine expects, and returns
// when the server ends.
func Serve(p pack.Pack, out io.Writer) error {
	server, err := New(p, nil)
	if err != nil {
		return err
	}
	handle, err := rpcutil.ServeWithOptions(rpcutil.ServeOptions{Init: func(s *grpc.Server) error {
		pulumirpc.RegisterAnalyzerServer(s, server)
		return nil
	}})
	if err != nil {
		return fmt.Errorf("serving the policy pack: %w", err)
	}
	if _, err := fmt.Fprintln(out, handle.Port); err != nil {
		return fmt.Errorf("writing the port of the policy pack: %w", err)
	}
	if err := <-handle.Done; err != nil {
		return fmt.Errorf("serving the policy pack: %w", err)
	}
	return nil
}
