package providers_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/emptypb"

	"dbtier/localcloud/internal/providers"
)

// serving runs Serve until the test closes its stdin.
type serving struct {
	providers.Ports
	stdin io.Closer
	ended chan error
}

//nolint:revive // t comes first in helpers.
func serve(t *testing.T, ctx context.Context, options providers.Options) *serving {
	t.Helper()
	stdin, stdinWriter := io.Pipe()
	stdout, stdoutWriter := io.Pipe()
	s := &serving{stdin: stdinWriter, ended: make(chan error, 1)}
	go func() {
		err := providers.Serve(ctx, options, stdin, stdoutWriter)
		_ = stdoutWriter.CloseWithError(io.EOF)
		s.ended <- err
	}()
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	if err != nil {
		require.NoError(t, <-s.ended)
	}
	require.NoError(t, json.Unmarshal(line, &s.Ports))
	return s
}

func version(t *testing.T, port int) string {
	t.Helper()
	connection, err := grpc.NewClient(fmt.Sprintf("127.0.0.1:%d", port),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	defer func() { _ = connection.Close() }()
	info, err := pulumirpc.NewResourceProviderClient(connection).GetPluginInfo(t.Context(), &emptypb.Empty{})
	require.NoError(t, err)
	return info.GetVersion()
}

func TestServesBothProvidersUntilStdinCloses(t *testing.T) {
	s := serve(t, t.Context(), providers.Options{Project: t.TempDir(), Offline: true})
	assert.Equal(t, "4.30.0", version(t, s.Kubernetes))
	assert.NotEmpty(t, version(t, s.AWS))
	assert.Zero(t, s.Language)
	require.NoError(t, s.stdin.Close())
	require.NoError(t, <-s.ended)
	_, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", s.Kubernetes))
	require.Error(t, err, "nothing listens any more")
}

func TestServesALanguageHostWhenAsked(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := serve(t, ctx, providers.Options{Project: t.TempDir(), Offline: true, Program: "dbtier"})
	connection, err := grpc.NewClient(fmt.Sprintf("127.0.0.1:%d", s.Language),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	defer func() { _ = connection.Close() }()
	about, err := pulumirpc.NewLanguageRuntimeClient(connection).About(t.Context(), &pulumirpc.AboutRequest{})
	require.NoError(t, err)
	assert.Equal(t, "dbtier", about.GetExecutable())
	cancel()
	require.NoError(t, <-s.ended, "the end of the context, as by a signal, ends it")
}

func TestEndsAWaitThatRunsWhenItIsToldToEnd(t *testing.T) {
	s := serve(t, t.Context(), providers.Options{Project: t.TempDir(), Offline: true})
	connection, err := grpc.NewClient(fmt.Sprintf("127.0.0.1:%d", s.Kubernetes),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	defer func() { _ = connection.Close() }()
	_, err = pulumirpc.NewResourceProviderClient(connection).Handshake(t.Context(),
		&pulumirpc.ProviderHandshakeRequest{})
	require.NoError(t, err)
	// The connection stays open, like that of an engine that was killed.
	require.NoError(t, s.stdin.Close())
	require.NoError(t, <-s.ended)
}

func TestFaults(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = taken.Close() }()
	damaged := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(damaged, ".localcloud", "state"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(damaged, ".localcloud", "state", "cloud.json"), []byte("{"), 0o600))
	for name, c := range map[string]struct {
		options providers.Options
		want    string
	}{
		"no cloud": {
			providers.Options{Project: t.TempDir()},
			"the local cloud is not running: start it with `dbtier local start`, or preview with --offline",
		},
		"damaged cloud": {providers.Options{Project: damaged}, "is damaged"},
		"a port that is in use": {
			providers.Options{Project: t.TempDir(), Offline: true, KubernetesPort: taken.Addr().(*net.TCPAddr).Port},
			"kubernetes provider: failed to listen on TCP port",
		},
	} {
		t.Run(name, func(t *testing.T) {
			require.ErrorContains(t, providers.Serve(t.Context(), c.options, os.Stdin, io.Discard), c.want)
		})
	}
}
