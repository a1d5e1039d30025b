package iam_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"dbtier/localcloud/internal/aws/iam"
)

// The stacks of the program must deploy here, so none of their policies may be refused.
func TestThePoliciesOfTheProgramsStacksAreAccepted(t *testing.T) {
	kinds := map[string]struct {
		input string
		kind  iam.Kind
	}{
		"aws:iam/role:Role":             {"assumeRolePolicy", iam.Trust},
		"aws:iam/rolePolicy:RolePolicy": {"policy", iam.Identity},
		"aws:kms/key:Key":               {"policy", iam.Key},
	}
	files, err := filepath.Glob("../../../../tests/golden/*.yaml")
	require.NoError(t, err)
	more, err := filepath.Glob("../../../../tests/golden/*/*.yaml")
	require.NoError(t, err)
	found := map[string]int{}
	for _, file := range append(files, more...) {
		if strings.HasPrefix(filepath.Base(file), "Pulumi.") {
			continue // the config of a stack, and not its resources
		}
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		var resources []struct {
			Resource string
			Inputs   map[string]any
		}
		require.NoError(t, yaml.Unmarshal(text, &resources), file)
		for _, r := range resources {
			kind, _, _ := strings.Cut(r.Resource, " ")
			of, ok := kinds[kind]
			if !ok {
				continue
			}
			found[kind]++
			document, ok := r.Inputs[of.input].(string)
			require.True(t, ok, "%s: %s has no %s", file, r.Resource, of.input)
			_, err := iam.Parse(document, of.kind)
			require.NoError(t, err, "%s: %s", file, r.Resource)
		}
	}
	for kind := range kinds {
		assert.NotZero(t, found[kind], "the golden files have no %s", kind)
	}
}
