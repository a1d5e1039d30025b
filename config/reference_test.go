package config_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/components/componenttest"
)

const platform = "acme/infra/prod"

// referring is a minimal stack that takes its network and cluster from another stack.
func referring(network, cluster string) string {
	head, rest, _ := strings.Cut(least, "  dbtier:network:")
	_, tail, _ := strings.Cut(rest, "  dbtier:consumer:")
	return head + "  dbtier:network: " + network + "\n  dbtier:cluster: " + cluster + "\n  dbtier:consumer:" + tail
}

func facts() map[string]any {
	return map[string]any{
		"vpcId":               "vpc-0123456789abcdef0",
		"privateSubnets":      []any{"subnet-0123456789abcdef1", "subnet-0123456789abcdef2"},
		"databaseCidrs":       []any{"10.0.192.0/20"},
		"oidcProviderArn":     "arn:aws:iam::123456789012:oidc-provider/oidc.eks.ap-northeast-2.amazonaws.com/id/0A1B",
		"nodeSecurityGroupId": "sg-0123456789abcdef0",
		"hidden":              componenttest.SecretOutput("sg-0123456789abcdef9"),
		"zones":               3,
	}
}

func TestNetworkAndClusterMayBeAnotherStacksOutputs(t *testing.T) {
	t.Parallel()
	stack, err := load(t, referring("{stackReference: {stack: "+platform+", subnetIds: privateSubnets}}",
		"{stackReference: {stack: "+platform+"}}"),
		componenttest.OtherStack(platform, facts()))
	require.NoError(t, err)
	assert.Equal(t, "vpc-0123456789abcdef0", stack.Network.VpcID)
	assert.Equal(t, []string{"subnet-0123456789abcdef1", "subnet-0123456789abcdef2"}, stack.Network.SubnetIDs)
	assert.Equal(t, []string{"10.0.192.0/20"}, stack.Network.DatabaseCIDRs)
	assert.Equal(t, "sg-0123456789abcdef0", stack.Cluster.NodeSecurityGroupID)

	stack, err = load(t,
		referring("{databaseCidrs: [10.1.0.0/20], stackReference: {stack: "+platform+", subnetIds: privateSubnets}}",
			"{stackReference: {stack: "+platform+"}}"), componenttest.OtherStack(platform, facts()))
	require.NoError(t, err)
	assert.Equal(t, []string{"10.1.0.0/20"}, stack.Network.DatabaseCIDRs,
		"a key in the file is not read from the reference")
}

func TestAnUnreadableReferenceNamesTheKeysToGiveInstead(t *testing.T) {
	t.Parallel()
	_, err := load(t, referring("{stackReference: {stack: acme/infra/gone}, databaseCidrs: [10.1.0.0/20]}",
		"{stackReference: {stack: acme/infra/gone}}"))
	require.ErrorContains(t, err, `the stack's config has faults
Pulumi.test.yaml: dbtier:network.stackReference.stack: "acme/infra/gone": cannot be read (unknown stack "acme/infra/gone"); `+
		`bring that stack up, or give network.subnetIds, network.vpcId instead of the reference, as an offline preview needs it
Pulumi.test.yaml: dbtier:cluster.stackReference.stack: "acme/infra/gone": cannot be read (unknown stack "acme/infra/gone"); `+
		`bring that stack up, or give cluster.nodeSecurityGroupId, cluster.oidcProviderArn instead of the reference, as an offline preview needs it`)
	assert.NotContains(t, err.Error(), "dbtier:network.vpcId",
		"a key that the reference should fill is not also reported as missing")
}

func TestReferencesThatAreWrong(t *testing.T) {
	t.Parallel()
	const cluster = "{stackReference: {stack: " + platform + "}}"
	for name, c := range map[string]struct{ network, cluster, fault string }{
		"no such output": {
			"{stackReference: {stack: " + platform + "}}", cluster,
			`network.stackReference.subnetIds: "subnetIds": is not an output of stack acme/infra/prod, which has databaseCidrs, hidden`,
		},
		"of another type": {
			"{stackReference: {stack: " + platform + ", subnetIds: zones}}", cluster,
			`network.stackReference.subnetIds: 3: want a list`,
		},
		"of another form": {
			"{stackReference: {stack: " + platform + ", subnetIds: privateSubnets, vpcId: nodeSecurityGroupId}}",
			cluster,
			`network.vpcId: "sg-0123456789abcdef0": want the id of the cluster's VPC`,
		},
		"given twice": {
			"{vpcId: vpc-0123456789abcdef0, stackReference: {stack: " + platform +
				", vpcId: vpcId, subnetIds: privateSubnets}}", cluster,
			`network.stackReference.vpcId: "vpcId": is also given as network.vpcId; keep one of them`,
		},
		"of no stack": {
			"{stackReference: {vpcId: vpcId}}", cluster,
			`network.stackReference.vpcId: "vpcId": names an output, but network.stackReference.stack, the stack that has it, is missing`,
		},
		"a secret": {
			"{stackReference: {stack: " + platform + ", subnetIds: privateSubnets}}",
			"{stackReference: {stack: " + platform + ", nodeSecurityGroupId: hidden}}",
			`cluster.stackReference.nodeSecurityGroupId: "hidden": is a secret output`,
		},
		"for nothing": {
			"{stackReference: {stack: " + platform + ", subnetIds: privateSubnets}}",
			"{oidcProviderArn: x, nodeSecurityGroupId: y, stackReference: {stack: " + platform + "}}",
			`cluster.stackReference.stack: "` + platform + `": is not used`,
		},
		"an unknown key": {
			"{stackReference: {stack: " + platform + ", subnets: privateSubnets}}", cluster,
			`network.stackReference.subnets: is not a setting; did you mean subnetIds?`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := load(t, referring(c.network, c.cluster), componenttest.OtherStack(platform, facts()))
			require.ErrorContains(t, err, "Pulumi.test.yaml: dbtier:"+c.fault)
			assert.NotContains(t, err.Error(), "sg-0123456789abcdef9", "a secret is not shown")
		})
	}
}

// cluster is a stack that holds a cluster's operator only.
const clusterOnly = `config:
  dbtier:cloud: aws
  dbtier:environment: prod
  dbtier:profile: production
  dbtier:aws: {region: ap-northeast-2, accountId: "123456789012"}
  dbtier:cluster:
    oidcProviderArn: arn:aws:iam::123456789012:oidc-provider/oidc.eks.ap-northeast-2.amazonaws.com/id/0A1B
    nodeSecurityGroupId: sg-0123456789abcdef0
  dbtier:operator: {install: true}
`

func TestAStackMayHoldAClustersPartOnly(t *testing.T) {
	t.Parallel()
	stack, err := load(t, clusterOnly)
	require.NoError(t, err)
	assert.False(t, stack.HoldsService())
	assert.False(t, stack.KnowsNetwork())

	_, err = load(t, clusterOnly+"  dbtier:network: {vpcId: main}\n")
	require.ErrorContains(t, err, `network.vpcId: "main": want`, "values for other stacks are also checked")

	stack, err = load(t, least)
	require.NoError(t, err)
	assert.True(t, stack.HoldsService())
}

// Otherwise a bad merge would make a service's stack delete its database.
func TestAServicesStackThatLostItsServiceIsNotTakenForAClusters(t *testing.T) {
	t.Parallel()
	_, err := load(t, strings.Replace(least, "  dbtier:service: {name: my-shop}\n",
		"  dbtier:operator: {install: true}\n", 1))
	require.ErrorContains(t, err, `service.name: "": want`)
	_, err = load(t, strings.Replace(clusterOnly, "  dbtier:operator: {install: true}\n", "", 1))
	require.ErrorContains(t, err, `service.name: "": want`, "a stack without a service must ask for the operator")
}

func TestOnlyWhoInstallsTheOperatorAdoptsIt(t *testing.T) {
	t.Parallel()
	_, err := load(t, least+"  dbtier:operator: {install: false, adopt: true}\n")
	require.ErrorContains(t, err,
		"operator.adopt: true: has no effect in a stack that does not install the operator; remove it")
}
