package analyzer_test

import (
	"context"
	"net"
	"strconv"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/util/rpcutil"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/emptypb"
)

// Log receives a message.
func (l *engineLog) Log(_ context.Context, request *pulumirpc.LogRequest) (*emptypb.Empty, error) {
	l.said <- request
	return &emptypb.Empty{}, nil
}

// listen serves the log and returns its address.
func (l *engineLog) listen(t *testing.T) string {
	t.Helper()
	stop := make(chan bool)
	handle, err := rpcutil.ServeWithOptions(rpcutil.ServeOptions{Cancel: stop, Init: func(s *grpc.Server) error {
		pulumirpc.RegisterEngineServer(s, l)
		return nil
	}})
	require.NoError(t, err)
	t.Cleanup(func() {
		close(stop)
		<-handle.Done
	})
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(handle.Port))
}
