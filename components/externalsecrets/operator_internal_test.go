package externalsecrets

import (
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
)

func TestTheChartsFirstProbesComeEarly(t *testing.T) {
	t.Parallel()
	deployment := func(containers pulumi.Input) *pulumi.ResourceTransformArgs {
		return &pulumi.ResourceTransformArgs{Type: "kubernetes:apps/v1:Deployment", Props: pulumi.Map{
			"spec": pulumi.Map{"template": pulumi.Map{"spec": pulumi.Map{"containers": containers}}},
		}}
	}
	transformed := probeEarly(t.Context(), deployment(pulumi.Array{
		pulumi.Map{"name": pulumi.String("webhook"), "readinessProbe": pulumi.Map{
			"initialDelaySeconds": pulumi.Float64(20), "periodSeconds": pulumi.Float64(5),
		}},
		pulumi.Map{"name": pulumi.String("without a probe")},
	}))
	assert.Equal(t, deployment(pulumi.Array{
		pulumi.Map{"name": pulumi.String("webhook"), "readinessProbe": pulumi.Map{
			"initialDelaySeconds": pulumi.Int(2), "periodSeconds": pulumi.Float64(5),
		}},
		pulumi.Map{"name": pulumi.String("without a probe")},
	}).Props, transformed.Props)

	// A later chart may have another structure.
	for _, other := range []pulumi.Input{nil, pulumi.String("none"), pulumi.Array{nil, pulumi.String("x")}} {
		assert.Equal(t, deployment(other).Props, probeEarly(t.Context(), deployment(other)).Props)
	}
	assert.Equal(t, pulumi.Map{}, probeEarly(t.Context(),
		&pulumi.ResourceTransformArgs{Type: "kubernetes:apps/v1:Deployment", Props: pulumi.Map{}}).Props)
	assert.Nil(t, probeEarly(t.Context(), &pulumi.ResourceTransformArgs{
		Type: "kubernetes:core/v1:Service", Props: pulumi.Map{},
	}))
}
