package cluster

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/localcloud/internal/aws"
)

func TestTheProcessesOfTheCloudGetItsOptions(t *testing.T) {
	o := StartOptions{APIPort: 1, AWSPort: 2}
	assert.Equal(t, []string{"--api-port", "1", "--aws-port", "2", "--latency", "off"}, o.args())
	assert.Zero(t, o.latency())
	o.Latency = LatencyAWS
	assert.Equal(t, []string{"--api-port", "1", "--aws-port", "2", "--latency", "aws"}, o.args())
	assert.Equal(t, aws.TypicalLatency, o.latency())
	require.NoError(t, o.Validate())
	o.Latency = "slow"
	assert.EqualError(t, o.Validate(), "--latency slow: want off or aws")
}
