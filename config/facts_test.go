package config_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Each value of account, network and cluster is invalid once, in an otherwise valid stack.
func TestWrongFactsAreReportedOneByOne(t *testing.T) {
	t.Parallel()
	for fault, change := range map[string][2]string{
		`aws.region: "seoul": want an AWS region`:    {"region: ap-northeast-2", "region: seoul"},
		`aws.accountId: "12345": want the 12 digits`: {`"123456789012"`, `"12345"`},
		`aws.partition: "aws-eu": want one of`: {
			"region: ap-northeast-2", "partition: aws-eu, region: ap-northeast-2",
		},
		`aws.permissionsBoundaryArn: "b": want the ARN of a managed`: {
			"region: ap-northeast-2", "permissionsBoundaryArn: b, region: ap-northeast-2",
		},
		`aws.endpoint: "http://127.0.0.1:1": is for local stacks`: {
			"region: ap-northeast-2", `endpoint: "http://127.0.0.1:1", region: ap-northeast-2`,
		},
		`network.vpcId: "vpc": want the id of the cluster's VPC`: {"vpc-0123456789abcdef0", "vpc"},
		`network.subnetIds: ["subnet-0123456789abcdef1"]: want subnets`: {
			"subnet-0123456789abcdef1, subnet-0123456789abcdef2", "subnet-0123456789abcdef1",
		},
		`network.subnetIds[1]: "subnet": want the id of a subnet`:            {"subnet-0123456789abcdef2", "subnet"},
		`cluster.nodeSecurityGroupId: "sg": want the id of a security group`: {"sg-0123456789abcdef0", "sg"},
		`environment: "Prod": want`: {
			"environment: prod", "environment: Prod",
		},
	} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			require.Contains(t, least, change[0])
			_, err := load(t, strings.ReplaceAll(least, change[0], change[1]))
			require.ErrorContains(t, err, fault)
		})
	}
}
