package cluster_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/localcloud/internal/cluster"
)

func TestTheProjectIsTheNearestFolderWithAPulumiProgram(t *testing.T) {
	root, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	below := filepath.Join(root, "a", "b")
	require.NoError(t, os.MkdirAll(below, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(root, "Pulumi.yaml"), nil, 0o600))
	t.Chdir(below)
	p, err := cluster.FindProject("")
	require.NoError(t, err)
	assert.Equal(t, root, p.Dir)
}

func TestWithoutAProgramAnywhereTheErrorSaysWhatToDo(t *testing.T) {
	t.Chdir(t.TempDir())
	_, err := cluster.FindProject("")
	require.ErrorContains(t, err, "no Pulumi.yaml in")
	assert.ErrorContains(t, err, "--dir")
}

func TestANamedFolderMustBeThere(t *testing.T) {
	_, err := cluster.FindProject(filepath.Join(t.TempDir(), "absent"))
	assert.ErrorContains(t, err, "no such folder")
}

func TestAllNamesOfAFolderAreOneProject(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(t.TempDir(), "link")
	require.NoError(t, os.Symlink(dir, link))
	direct, err := cluster.FindProject(dir)
	require.NoError(t, err)
	linked, err := cluster.FindProject(link)
	require.NoError(t, err)
	assert.Equal(t, direct, linked)
	assert.True(t, strings.HasPrefix(direct.RunDir(), "/run/localcloud-"))
	other, err := cluster.FindProject(t.TempDir())
	require.NoError(t, err)
	assert.NotEqual(t, direct.RunDir(), other.RunDir(), "so two projects can run side by side")
}

func TestPortsAreCheckedTogether(t *testing.T) {
	cases := map[string]struct {
		options cluster.StartOptions
		want    []string
	}{
		"the defaults": {
			cluster.StartOptions{APIPort: cluster.DefaultAPIPort, AWSPort: cluster.DefaultAWSPort},
			nil,
		},
		"no ports": {
			cluster.StartOptions{APIPort: 0, AWSPort: 70000},
			[]string{"--api-port 0: is not a port", "--aws-port 70000: is not a port"},
		},
		"taken inside": {
			cluster.StartOptions{APIPort: 2379, AWSPort: 14566},
			[]string{"--api-port 2379: etcd uses this port"},
		},
		"one port for both": {
			cluster.StartOptions{APIPort: 14566, AWSPort: 14566},
			[]string{"--aws-port 14566: is the same port as --api-port"},
		},
		"inside ports for AWS": {cluster.StartOptions{APIPort: 16443, AWSPort: 4566}, nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			err := c.options.Validate()
			if c.want == nil {
				require.NoError(t, err)
			}
			for _, fault := range c.want {
				require.ErrorContains(t, err, fault)
			}
		})
	}
}
