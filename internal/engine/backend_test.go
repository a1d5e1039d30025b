package engine_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/config"
	"dbtier/internal/engine"
	"dbtier/internal/project"
)

func lookup(vars map[string]string) engine.Lookup {
	return func(name string) (string, bool) {
		value, ok := vars[name]
		return value, ok
	}
}

func TestBackendPrecedence(t *testing.T) {
	p := &project.Project{Dir: "/p"}
	named := &project.Project{Dir: "/p", Backend: "gs://named"}
	prod, local := &project.Stack{Name: "prod", Cloud: config.AWS}, &project.Stack{Name: "local", Cloud: config.Local}
	env := lookup(map[string]string{"PULUMI_BACKEND_URL": "s3://env"})
	none := lookup(nil)

	assert.Equal(t, "azblob://flag", engine.Backend(named, prod, "azblob://flag", env))
	assert.Equal(t, "s3://env", engine.Backend(named, prod, "", env))
	assert.Equal(t, "gs://named", engine.Backend(named, prod, "", none))
	assert.Equal(t, "file:///p/.dbtier/state", engine.Backend(p, prod, "", none))
	assert.Equal(t, "file:///p/.localcloud/state/pulumi", engine.Backend(named, local, "", env),
		"moves with the local cloud only")
	assert.Equal(t, "file:///x", engine.Backend(named, local, "file:///x", env))
}

func TestAStackOffTheLocalCloudMustBeGivenSomethingToEncryptWith(t *testing.T) {
	file := filepath.Join(t.TempDir(), "passphrase")
	require.NoError(t, os.WriteFile(file, []byte("x"), 0o600))
	prod := project.Stack{Name: "prod", Cloud: config.AWS}
	withKMS := prod
	withKMS.Values.SecretsProvider = "awskms://alias/x"
	local := project.Stack{Name: "local", Cloud: config.Local}
	for name, c := range map[string]struct {
		stack    project.Stack
		backend  string
		provider string
		env      map[string]string
		want     string
	}{
		"nothing": {
			stack: prod, backend: "file:///s",
			want: "set PULUMI_CONFIG_PASSPHRASE or PULUMI_CONFIG_PASSPHRASE_FILE, or give --secrets-provider",
		},
		"object storage": {stack: prod, backend: "s3://s", want: "nothing encrypts the secrets in its state in s3://s"},
		"an empty passphrase": {
			stack: prod, backend: "s3://s", env: map[string]string{"PULUMI_CONFIG_PASSPHRASE": ""},
			want: "nothing encrypts",
		},
		"only the word": {stack: prod, backend: "s3://s", provider: "passphrase", want: "nothing encrypts"},
		"a passphrase": {
			stack: prod, backend: "file:///s",
			env: map[string]string{"PULUMI_CONFIG_PASSPHRASE": "x"},
		},
		"a passphrase file": {
			stack: prod, backend: "file:///s",
			env: map[string]string{"PULUMI_CONFIG_PASSPHRASE_FILE": file},
		},
		"a missing file": {
			stack: prod, backend: "file:///s",
			env:  map[string]string{"PULUMI_CONFIG_PASSPHRASE_FILE": "/nowhere"},
			want: "PULUMI_CONFIG_PASSPHRASE_FILE: /nowhere: cannot be read",
		},
		"a provider":           {stack: prod, backend: "file:///s", provider: "awskms://alias/x"},
		"a provider in config": {stack: withKMS, backend: "file:///s"},
		"Pulumi Cloud":         {stack: prod, backend: "https://api.pulumi.com"},
		"the local stack":      {stack: local, backend: "file:///s"},
	} {
		t.Run(name, func(t *testing.T) {
			err := engine.CheckSecrets(&c.stack, c.backend, c.provider, lookup(c.env))
			if c.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestLocalLeftoversFindWhatStillPointsAtTheLocalCloud(t *testing.T) {
	p := &project.Project{Dir: "/p"}
	const endpoint = "http://127.0.0.1:14566"
	assert.Empty(t, engine.LocalLeftovers(p, endpoint, lookup(map[string]string{
		"AWS_ENDPOINT_URL": "https://proxy", "KUBECONFIG": "/home/me/config", "PULUMI_BACKEND_URL": "s3://x",
	})))
	assert.Equal(t, []string{"AWS_ENDPOINT_URL", "KUBECONFIG", "PULUMI_BACKEND_URL"},
		engine.LocalLeftovers(p, endpoint, lookup(map[string]string{
			"AWS_ENDPOINT_URL": endpoint + "/", "KUBECONFIG": "/p/.localcloud/state/kubeconfig",
			"PULUMI_BACKEND_URL": "file:///p/.localcloud/state/pulumi",
		})))
	assert.Equal(t, []string{"AWS_ENDPOINT_URL_RDS"},
		engine.LocalLeftovers(p, endpoint, lookup(map[string]string{"AWS_ENDPOINT_URL_RDS": endpoint})))
}

func TestOutputsAreReadFromTheStatesFileWithoutSecrets(t *testing.T) {
	dir := t.TempDir()
	asked := errors.New("the CLI was asked")
	outputs := func(backend string) (map[string]any, error) {
		return engine.NewReader(engine.Config{
			Project: &project.Project{Dir: dir, Name: "dbtier"},
			Stack:   &project.Stack{Name: "local", Cloud: config.Local}, Backend: backend,
			CLI: func(context.Context) (string, error) { return "", asked },
		}).Outputs(t.Context())
	}
	backend := "file://" + dir
	found, err := outputs(backend)
	require.NoError(t, err)
	assert.Empty(t, found, "never brought up")

	file := filepath.Join(dir, ".pulumi", "stacks", "dbtier", "local.json")
	require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o700))
	require.NoError(t, os.WriteFile(file, []byte(`{"version":3,"checkpoint":{"latest":{"resources":[
		{"type":"a:b:C","outputs":{"no":1}},
		{"type":"pulumi:pulumi:Stack","outputs":{"host":"db","deep":{"list":[{"4dabf18193072939515e22adb298388d":"1b47061264138c4ac30d75fd1eb44270","ciphertext":"x"}]}}}]}}}`), 0o600))
	found, err = outputs(backend)
	require.NoError(t, err)
	assert.Equal(t, map[string]any{"host": "db", "deep": map[string]any{"list": []any{"[secret]"}}}, found)

	require.NoError(t, os.WriteFile(file, []byte("{"), 0o600))
	_, err = outputs(backend)
	require.ErrorContains(t, err, "is damaged")
	require.NoError(t, os.Rename(file, file+".gz"))
	_, err = outputs(backend)
	require.ErrorIs(t, err, asked, "only the CLI reads a compressed state")
	_, err = outputs("s3://x")
	require.ErrorIs(t, err, asked)
}
