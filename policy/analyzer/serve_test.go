package analyzer_test

import (
	"bufio"
	"io"
	"strings"
	"testing"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"dbtier/policy/analyzer"
	"dbtier/policy/registry"
	"dbtier/policy/ruletest"
)

// serve starts the pack as the binary does, and connects to the port that it writes.
func serve(t *testing.T) pulumirpc.AnalyzerClient {
	t.Helper()
	read, write := io.Pipe()
	go func() {
		// It serves until the tests end.
		_ = write.CloseWithError(analyzer.Serve(registry.Pack(), write))
	}()
	line, err := bufio.NewReader(read).ReadString('\n')
	require.NoError(t, err)
	conn, err := grpc.NewClient("127.0.0.1:"+strings.TrimSpace(line),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return pulumirpc.NewAnalyzerClient(conn)
}

// engineLog plays the engine that receives log messages.
type engineLog struct {
	pulumirpc.UnimplementedEngineServer
	said chan *pulumirpc.LogRequest
}

func TestWhatWaitsIsSaidInTheEnginesLogAndOnce(t *testing.T) {
	t.Parallel()
	log := &engineLog{said: make(chan *pulumirpc.LogRequest, 2)}
	address := log.listen(t)
	client := serve(t)
	_, err := client.Handshake(t.Context(), &pulumirpc.AnalyzerHandshakeRequest{EngineAddress: address})
	require.NoError(t, err)
	_, err = client.ConfigureStack(t.Context(), &pulumirpc.AnalyzerStackConfigureRequest{Stack: "test", DryRun: true})
	require.NoError(t, err)
	answer, err := client.Analyze(t.Context(),
		ruletest.Request(t, instance(map[string]any{"kmsKeyId": ruletest.Unknown{}})))
	require.NoError(t, err)
	require.NotEmpty(t, answer.GetNotApplicable())
	assert.Contains(t, answer.GetNotApplicable()[0].GetReason(),
		"is not known yet; the rule is evaluated during the update")
	for range 2 {
		_, err = client.AnalyzeStack(t.Context(), &pulumirpc.AnalyzeStackRequest{})
		require.NoError(t, err)
	}
	said := <-log.said
	assert.Equal(t, pulumirpc.LogSeverity_INFO, said.GetSeverity())
	assert.Contains(t, said.GetMessage(), "database.kmsKeyId: rds-storage-cmk")
	assert.Empty(t, log.said, "the message is shown once")
}
