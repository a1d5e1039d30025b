package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/config"
)

// read reads a stack's file as the driver does, without an engine.
func read(t *testing.T, text string) config.Values {
	t.Helper()
	file := filepath.Join(t.TempDir(), "Pulumi.test.yaml")
	require.NoError(t, os.WriteFile(file, []byte(withImage(text)), 0o600))
	values, err := config.ReadFile(file)
	require.NoError(t, err)
	return values
}

func noStacks(string) (config.Outputs, error) { return config.Outputs{}, config.ErrUnread }

const referringFile = `config:
  dbtier:cloud: aws
  dbtier:environment: prod
  dbtier:profile: production
  dbtier:service: {name: my-shop}
  dbtier:aws: {region: ap-northeast-2, accountId: "123456789012"}
  dbtier:network: {vpcId: vpc-0123456789abcdef0, stackReference: {stack: acme/infra/prod}}
  dbtier:cluster: {stackReference: {stack: acme/infra/prod}}
  dbtier:consumer: {image: "registry.example/my-shop:1"}
  dbtier:migration: {command: [flyway, migrate]}
`

func TestTheDriverParsesTheFileAsTheProgramDoes(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"least":   least,
		"numbers": least + "  dbtier:pool: {replicas: 3}\n  dbtier:database: {port: 5433, multiAz: false}\n",
		"maps":    least + "  dbtier:database: {parameters: {work_mem: {value: \"16384\"}}}\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want, err := load(t, text)
			require.NoError(t, err)
			got, err := config.Parse(read(t, text), noStacks)
			require.NoError(t, err)
			assert.Equal(t, want, got)
		})
	}
}

func TestReferencesThatCannotBeReadHereAreListed(t *testing.T) {
	t.Parallel()
	stack, err := config.Parse(read(t, referringFile), noStacks)
	require.NoError(t, err)
	assert.Equal(t, []string{
		"network.databaseCidrs", "network.subnetIds", "cluster.nodeSecurityGroupId", "cluster.oidcProviderArn",
	}, stack.Unread)

	_, err = config.Parse(read(t, referringFile+"  dbtier:pool: {replicas: 0}\n"), noStacks)
	var invalid *config.InvalidError
	require.ErrorAs(t, err, &invalid)
	assert.Equal(t, "Pulumi.test.yaml", invalid.File)
	require.Len(t, invalid.Faults, 1, "%s", err)
	assert.Equal(t, "pool.replicas", invalid.Faults[0].Path)
}

func TestEachStackIsReadOnce(t *testing.T) {
	t.Parallel()
	var read []string
	values := config.Values{File: "Pulumi.test.yaml", Keys: map[string]config.Value{
		"network": {Text: `{"stackReference": {"stack": "acme/infra/prod"}}`},
		"cluster": {Text: `{"stackReference": {"stack": "acme/infra/prod"}}`},
	}}
	_, err := config.Parse(values, func(stack string) (config.Outputs, error) {
		read = append(read, stack)
		return config.Outputs{}, nil
	})
	require.Error(t, err)
	assert.Equal(t, []string{"acme/infra/prod"}, read)
}

func TestAStackThatCannotBeReadIsOneFault(t *testing.T) {
	t.Parallel()
	_, err := config.Parse(read(t, referringFile), func(string) (config.Outputs, error) {
		return config.Outputs{}, errors.New("no such stack")
	})
	var invalid *config.InvalidError
	require.ErrorAs(t, err, &invalid)
	require.Len(t, invalid.Faults, 2, "%s", err)
	assert.Equal(t, "network.stackReference.stack", invalid.Faults[0].Path)
	assert.Equal(t, "cluster.stackReference.stack", invalid.Faults[1].Path)
}

func TestEncryptedValuesAreRefused(t *testing.T) {
	t.Parallel()
	for _, value := range []string{
		"dbtier:database: {secure: AAAB}", "dbtier:consumer: {image: a, env: {TOKEN: {secure: AAAB}}}",
		"dbtier:pool: {logins: [{name: {secure: AAAB}}]}",
	} {
		_, err := config.Parse(read(t, "config:\n  "+value+"\n"), noStacks)
		require.ErrorContains(t, err, "holds an encrypted value")
	}
}

func TestFilesThatCannotBeRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	values, err := config.ReadFile(filepath.Join(dir, "Pulumi.absent.yaml"))
	require.NoError(t, err)
	assert.Equal(t, config.Values{File: "Pulumi.absent.yaml", Keys: map[string]config.Value{}}, values)

	_, err = config.ReadFile(dir)
	require.ErrorContains(t, err, "reading the stack's config")
	file := filepath.Join(dir, "Pulumi.broken.yaml")
	require.NoError(t, os.WriteFile(file, []byte("config: ["), 0o600))
	_, err = config.ReadFile(file)
	require.ErrorContains(t, err, "reading the stack's config Pulumi.broken.yaml")
}
