package cluster

import (
	"crypto"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/localcloud/internal/aws"
)

func TestFaultsAreInForceUntilTheyEndWithoutTheAPIServer(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	cloud, err := aws.New(aws.Config{
		Dir: t.TempDir(), OIDCIssuer: OIDCIssuer, OIDCKeys: func() ([]crypto.PublicKey, error) { return nil, nil },
	})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, cloud.Close()) })
	server := script(t, "exec sleep 1000")
	s := &supervisor{
		log: log, phase: PhaseStarting, parts: map[string]*component{apiServer: server},
		applyRules: func(string) error { return nil },
	}
	s.awsCloud.Store(cloud)
	server.start(t.Context(), log, func(err error) { t.Error(err) })
	t.Cleanup(server.stop)
	mux := http.NewServeMux()
	s.serveFaults(mux)
	ask := func(method, query string) (refusal string) {
		t.Helper()
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest(method, "/faults"+query, http.NoBody))
		if w.Code == http.StatusNoContent {
			return ""
		}
		var said struct{ Message string }
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &said))
		require.NotEmpty(t, said.Message)
		return said.Message
	}
	assert.Equal(t, "the local cloud is starting", ask(http.MethodPost, "?kind=api-server"))
	s.setPhase(PhaseReady)
	assert.Equal(t, `service: "ec2": want one of iam, kms, rds, secretsmanager, sts`,
		ask(http.MethodPost, "?kind=service&of=ec2"))
	assert.Contains(t, ask(http.MethodPost, "?kind=network&of=a"), "this fault is of the whole cluster")
	listed := func(want string) {
		t.Helper()
		text, err := json.Marshal(s.status().Faults)
		require.NoError(t, err)
		assert.JSONEq(t, want, string(text))
	}
	listed(`[]`)
	for _, query := range []string{"?kind=service&of=sts", "?kind=zone&of=b", "?kind=network", "?kind=api-server"} {
		assert.Empty(t, ask(http.MethodPost, query))
	}
	listed(`[{"kind": "api-server"}, {"kind": "network"}, {"kind": "service", "of": "sts"}, {"kind": "zone", "of": "b"}]`)
	eventually(t, "the API server is frozen", func() bool { return server.state(t) == "T" })
	assert.Empty(t, ask(http.MethodDelete, ""))
	listed(`[]`)
	eventually(t, "the API server goes on", func() bool { return server.state(t) == "S" })
	assert.Zero(t, server.snapshot().Restarts)
}
