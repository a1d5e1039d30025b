package driver

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/config"
	"dbtier/internal/drill"
	drillreport "dbtier/internal/drill/report"
	"dbtier/internal/project"
)

// service is a whole config of a service's stack.
const serviceConfig = `config:
  dbtier:cloud: aws
  dbtier:environment: prod
  dbtier:profile: PROFILE
  dbtier:service: {name: myshop}
  dbtier:aws: {region: ap-northeast-2, accountId: "123456789012"}
  dbtier:network:
    vpcId: vpc-0b1c2d3e4f5a6b7c8
    subnetIds: [subnet-0b1c2d3e4f5a6b7c1, subnet-0b1c2d3e4f5a6b7c2, subnet-0b1c2d3e4f5a6b7c3]
    databaseCidrs: [10.0.192.0/20]
  dbtier:cluster:
    oidcProviderArn: arn:aws:iam::123456789012:oidc-provider/oidc.eks.ap-northeast-2.amazonaws.com/id/0A1B2C3D4E5F60718293A4B5C6D7E8F9
    nodeSecurityGroupId: sg-0b1c2d3e4f5a6b7c9
  dbtier:pool: {image: registry.example/pgbouncer:1}
  dbtier:consumer: {image: registry.example/myshop:1}
  dbtier:migration: {enabled: false}
`

func (b *bench) hasService(stack, profile string) {
	b.t.Helper()
	text := strings.Replace(serviceConfig, "PROFILE", profile, 1)
	require.NoError(b.t, os.WriteFile(filepath.Join(b.dir, "Pulumi."+stack+".yaml"), []byte(text), 0o600))
}

func TestADrillOnAStackThatUsersDependOnMustBeAllowed(t *testing.T) {
	b := newBench(t)
	b.hasService("prod", "production")
	b.says(exitRefused, "add --production to allow it", "drill", "failover", "--stack", "prod", "--yes")
	b.says(exitUsage, "this run cannot ask for confirmation", "drill", "failover", "--stack", "prod", "--production")
	b.hasService("dev", "development")
	b.says(exitUsage, "this run cannot ask for confirmation", "drill", "random", "--stack", "dev")
	b.says(exitConfig, "config", "drill", "failover", "--stack", "local")
	b.says(exitUsage, "did you mean dbtier drill failover?", "drill", "failovr", "--stack", "dev")
}

func TestTheBoundsOfADrillDecideItsExitCode(t *testing.T) {
	t.Parallel()
	made := &drillreport.Report{Drill: "failover", Load: drillreport.Load{
		Groups: []drillreport.Group{
			{Client: drillreport.Persistent, Kind: drillreport.Write, Longest: 5.04, Failed: 9},
			{Client: drillreport.Retrying, Kind: drillreport.Read, Longest: 4, Failed: 2},
		},
		Ledger: drillreport.Ledger{Lost: 1, Duplicated: 2},
	}}
	for name, c := range map[string]struct {
		flags drillFlags
		says  string
	}{
		"lost":           {drillFlags{maxOutage: unbounded, maxFailed: unbounded}, "--max-lost 0: it was 3"},
		"all":            {drillFlags{maxOutage: 5 * time.Second, maxFailed: 1}, "--max-lost 0: it was 3; --max-outage 5s: it was 5.0s; --max-failed 1: it was 2"},
		"within":         {drillFlags{maxOutage: 6 * time.Second, maxFailed: 2, maxLost: 3}, ""},
		"only the asked": {drillFlags{maxOutage: unbounded, maxFailed: unbounded, maxLost: 3}, ""},
	} {
		made.Verdict = c.flags.bounds(made)
		err := verdict(made)
		if c.says == "" {
			require.NoError(t, err, name)
			continue
		}
		require.EqualError(t, err, "drill failover: "+c.says, name)
	}
}

func TestADrillNeedsAStackThatIsPreparedForIt(t *testing.T) {
	t.Parallel()
	of := &task{
		app: &app{}, target: target{stack: &project.Stack{Name: "dev", Values: config.Values{File: "Pulumi.dev.yaml"}}},
	}
	stack := config.Defaults(config.Development, "dev", config.Service{Name: "myshop"})
	outputs := map[string]any{config.OutputPoolKind: "rdsProxy", config.OutputExternalSecrets: []any{"myshop-db"}}
	for _, name := range []string{
		config.OutputNamespace, config.OutputDeployment, config.OutputContainer, config.OutputDatabaseSecret,
		config.OutputSecretsRoleArn, config.OutputSecretsServiceAccount, config.OutputSecretsServiceAccountNamespace,
		config.OutputSTSEndpoint, config.OutputDatabaseEndpoint, config.OutputProxy, config.OutputDatabaseIdentifier,
		config.OutputMasterSecretArn,
	} {
		outputs[name] = "the " + name
	}
	err := of.prepareDrill(t.Context(), &drill.Runner{})
	require.EqualError(t, err, "stack dev is not prepared for drills: set dbtier:drills.enabled to true in Pulumi.dev.yaml "+
		"and run `dbtier up --stack dev`")
	var wrong *usageError
	require.ErrorAs(t, of.prepareDrill(t.Context(), &drill.Runner{
		Target: drill.Target{Image: "registry.example/load:1", Connections: 24}, Rate: 500, Steady: time.Second,
	}), &wrong)
	outputs[config.OutputDrillImage], outputs[config.OutputDrillConnections] = "registry.example/load:1", 30.0
	found, err := of.drillTarget(stack, outputs)
	require.NoError(t, err)
	assert.Equal(t, "the databaseIdentifier", found.Instance)
	assert.Equal(t, 30, found.Connections)
	require.ErrorContains(t, drill.Find("pool-kill").Check(found), "the stack has no PgBouncer")

	_, err = of.drillTarget(stack, map[string]any{config.OutputOperatorNamespace: "external-secrets"})
	require.ErrorContains(t, err, "stack dev has no service")
}
