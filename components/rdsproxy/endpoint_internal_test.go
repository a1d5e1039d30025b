package rdsproxy

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// AWS's answers go into a URL and a policy, so an invalid answer stops the update.
func TestInvalidAnswersOfAWS(t *testing.T) {
	t.Parallel()
	args := &RdsProxyArgs{DatabaseName: "shop"}
	for _, host := range []string{"", "a b", `h"`, "{{ .password }}", "h@other", "h/"} {
		_, err := args.databaseURL(host)
		require.ErrorContains(t, err, "want the name of a host", host)
	}
	for _, arn := range []string{
		"", "arn:aws:rds:eu-west-1:111122223333:db:prx-1",
		"arn:aws:rds:eu-west-1:111122223333:db-proxy:shop",
	} {
		_, err := resourceID(arn)
		require.ErrorContains(t, err, "is not the ARN of a proxy", arn)
	}
	id, err := resourceID("arn:aws:rds:eu-west-1:111122223333:db-proxy:prx-0a1b")
	require.NoError(t, err)
	assert.Equal(t, "prx-0a1b", id)
}
