package awsprovider_test

import (
	"testing"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTypesThatOnlyAWSHasArePreviewedOfflineAndRefusedByNameLocally(t *testing.T) {
	for typ, inputs := range map[string]props{
		"aws:cloudwatch/metricAlarm:MetricAlarm": {
			"comparisonOperator": "LessThanThreshold", "evaluationPeriods": 3, "threshold": 0.5,
			"dimensions": props{"DBInstanceIdentifier": "shop"},
		},
		"aws:cloudwatch/dashboard:Dashboard": {"dashboardName": "shop", "dashboardBody": `{"widgets": []}`},
		"aws:eks/podIdentityAssociation:PodIdentityAssociation": {
			"clusterName": "prod", "namespace": "shop", "serviceAccount": "shop",
			"roleArn": "arn:aws:iam::111122223333:role/x",
		},
		"aws:rds/proxy:Proxy": {
			"engineFamily": "POSTGRESQL", "requireTls": true, "roleArn": "arn:aws:iam::111122223333:role/x",
			"vpcSubnetIds": []any{"subnet-1"},
			"auths": []any{props{
				"authScheme": "SECRETS", "clientPasswordAuthType": "POSTGRES_SCRAM_SHA_256",
				"iamAuth": "REQUIRED", "secretArn": "arn",
			}},
		},
		"aws:rds/proxyDefaultTargetGroup:ProxyDefaultTargetGroup": {
			"dbProxyName": "shop", "connectionPoolConfig": props{"maxConnectionsPercent": 60},
		},
		"aws:rds/proxyTarget:ProxyTarget": {
			"dbProxyName": "shop", "targetGroupName": "default", "dbInstanceIdentifier": "shop",
		},
		"aws:secretsmanager/secret:Secret": {
			"name": "shop/proxy/app", "recoveryWindowInDays": 0,
		},
		"aws:rds/eventSubscription:EventSubscription": {
			"snsTopic": "arn:aws:sns:ap-northeast-2:111122223333:oncall",
		},
		"aws:rds/roleAssociation:RoleAssociation": {
			"dbInstanceIdentifier": "shop", "featureName": "s3Export", "roleArn": "arn:aws:iam::111122223333:role/x",
		},
		"aws:secretsmanager/secretRotation:SecretRotation": {
			"secretId": "arn", "rotationRules": props{"automaticallyAfterDays": 30},
		},
	} {
		t.Run(typ, func(t *testing.T) {
			preview := offline(t)
			_, failures := check(t, preview, typ, nil, inputs)
			assert.Empty(t, failures)
			_, failures = check(t, preview, typ, nil, with(inputs, props{"sparkle": 1}))
			assert.Contains(t, failures, "sparkle")
			_, err := preview.Create(t.Context(), &pulumirpc.CreateRequest{
				Urn: urn(typ, "X"), Properties: marshal(t, inputs), Preview: true,
			})
			require.NoError(t, err)

			server, control := local(t, echo)
			_, failures = check(t, server, typ, nil, inputs)
			assert.Contains(t, failures[""], typ+" is not modelled by the local cloud: leave it out of local stacks")
			_, err = server.Create(t.Context(), &pulumirpc.CreateRequest{
				Urn: urn(typ, "X"), Properties: marshal(t, inputs),
			})
			require.ErrorContains(t, err, typ)
			assert.Empty(t, control.seen())
		})
	}
}

func TestLogVolumesAndReplicasAreForAWSOnly(t *testing.T) {
	server, _ := local(t, echo)
	for property, value := range map[string]any{
		"replicateSourceDb": "myshop-prod", "dedicatedLogVolume": true,
	} {
		inputs := with(least[instanceType], props{property: value})
		_, failures := check(t, server, instanceType, nil, inputs)
		assert.Contains(t, failures[property], "the local cloud does not model this property")
		_, failures = check(t, offline(t), instanceType, nil, inputs)
		assert.NotContains(t, failures, property)
	}
}
