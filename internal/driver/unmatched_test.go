package driver

import (
	"io"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/internal/progress"
	"dbtier/internal/project"
	"dbtier/internal/stackstate"
)

func TestANameThatNoResourceHasIsAFault(t *testing.T) {
	const of = "urn:pulumi:prod::dbtier::kubernetes:apps/v1:Deployment::"
	state := &stackstate.State{Resources: []stackstate.Resource{{URN: of + "pool-deployment"}}}
	steps := []progress.Step{{URN: of + "new-deployment", Op: apitype.OpCreate}}
	at := &task{target: target{stack: &project.Stack{Name: "prod"}}, flags: &stackFlags{
		targets: []string{"pool-deploymen", "new-deployment"}, replaces: []string{of + "nosuch", "**nosuch"},
		allowDataLoss: []string{"pool-deployment", "other"},
	}, report: &report{}, err: io.Discard}
	err := at.unmatched(state, steps)
	require.Error(t, err)
	assert.Equal(t, "--target pool-deploymen: stack prod has no such resource; did you mean pool-deployment?\n"+
		"--replace "+of+"nosuch: stack prod has no such resource", err.Error())
	assert.Equal(t, exitConfig, exitCode(t.Context(), err))
	assert.Equal(t, []string{"--allow-data-loss other: stack prod has no such resource"}, at.report.Notes)
	at.flags.stacks = "prod,dev"
	assert.NoError(t, at.unmatched(state, steps), "another stack may have it")
}
