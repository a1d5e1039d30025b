package kubectl_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/internal/kubectl"
)

func fake(t *testing.T, body string) *kubectl.Client {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kubectl")
	require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\n"+body+"\n"), 0o700))
	return &kubectl.Client{Command: []string{path, "kubectl"}, Kubeconfig: "/k", Context: "prod"}
}

func TestRunPassesClusterArgumentsAndInput(t *testing.T) {
	out, err := fake(t, `echo "$*"; cat`).Run(t.Context(), "input", "exec", "deploy/x", "--", "sh")
	require.NoError(t, err)
	assert.Equal(t, "kubectl --kubeconfig=/k --context=prod exec deploy/x -- sh\ninput", out)
}

func TestAFailureSaysWhatKubectlSaidLast(t *testing.T) {
	for body, want := range map[string]string{
		`echo 'psql: error: no' >&2; echo 'command terminated with exit code 2' >&2; exit 2`: "psql: error: " +
			"no",
		`echo 'Error from server (NotFound): secrets "x" not found' >&2; exit 1`: `Error from server (NotFound): secrets "x" not found`,
		`echo noise >&2; echo 'error: unable to forward' >&2; exit 1`: "unable to " +
			"forward",
		`echo 'error: unknown flag: --x' >&2; echo "See 'kubectl get --help' for usage." >&2; exit 1`: "unknown " +
			"flag: --x",
		`exit 7`: "kubectl get exited with code 7",
	} {
		_, err := fake(t, body).Run(t.Context(), "", "get", "secret")
		require.EqualError(t, err, want)
		var failed *kubectl.Error
		require.ErrorAs(t, err, &failed)
		assert.Equal(t, failed.NotFound(), want[0] == 'E')
	}
}

func TestGetReadsJSON(t *testing.T) {
	var secret struct{ Kind string }
	require.NoError(t, fake(t, `echo '{"kind":"Secret"}'`).Get(t.Context(), &secret, "shop", "secret", "x"))
	assert.Equal(t, "Secret", secret.Kind)
	require.ErrorContains(t, fake(t, `echo nonsense`).Get(t.Context(), &secret, "shop", "secret", "x"),
		"reading what kubectl get secret x printed")
}

func TestExistingReadsWhatThereIsOfKindsThatTheClusterKnows(t *testing.T) {
	const found = `echo '{"kind":"List","items":[{"kind":"Namespace"}]}'`
	unknown := `echo 'error: resource mapping not found for name: "a" namespace: "" from "STDIN": no matches for kind "Foo" ` +
		`in version "x.io/v1"
ensure CRDs are installed first' >&2`
	for body, want := range map[string]struct {
		items int
		err   string
	}{
		`true`:                              {0, ""},
		found:                               {1, ""},
		unknown + "\nexit 1":                {0, ""},
		found + "\n" + unknown + "; exit 1": {1, ""},
		found + "\n" + unknown + `; echo 'Error from server (Forbidden): secrets "s" is forbidden' >&2; exit 1`: {
			1, `Error from server (Forbidden): secrets "s" is forbidden`,
		},
		`echo nonsense`: {0, "reading what kubectl get printed"},
	} {
		var list struct{ Items []struct{ Kind string } }
		err := fake(t, body).Existing(t.Context(), &list, "{}")
		assert.Len(t, list.Items, want.items, body)
		if want.err == "" {
			require.NoError(t, err, body)
			continue
		}
		require.ErrorContains(t, err, want.err, body)
	}
}

func TestOnPathSaysWhatToDoWithoutKubectl(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := kubectl.OnPath()
	require.ErrorContains(t, err, "install it")
}
