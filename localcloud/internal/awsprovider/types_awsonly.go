package awsprovider

import "dbtier/validation"

// awsOnlyTypes are types for AWS that the local cloud does not model. An offline preview accepts them. A local stack
// gets an error that names the type.
var awsOnlyTypes = map[string]*resourceType{
	"aws:cloudwatch/dashboard:Dashboard": {
		properties: map[string]property{
			"dashboardBody": {kind: kindString, required: true},
			"dashboardName": {kind: kindString, required: true, forceNew: true},
		},
	},
	"aws:cloudwatch/metricAlarm:MetricAlarm": {
		properties: map[string]property{
			"actionsEnabled":     {kind: kindBool, defaultValue: true},
			"alarmActions":       {kind: kindStringSet},
			"alarmDescription":   {kind: kindString, validate: atMost(1024)},
			"comparisonOperator": {kind: kindString, required: true},
			"datapointsToAlarm":  {kind: kindInt},
			"dimensions":         {kind: kindStringMap},
			"evaluateLowSampleCountPercentiles": {
				kind: kindString, computed: true,
				validate: oneOf("evaluate", "ignore"),
			},
			"evaluationPeriods":       {kind: kindInt, required: true},
			"extendedStatistic":       {kind: kindString},
			"insufficientDataActions": {kind: kindStringSet},
			"metricName":              {kind: kindString},
			"name": {
				kind: kindString, forceNew: true, computed: true,
				validate: atMost(255),
			},
			"namespace": {kind: kindString},
			"okActions": {kind: kindStringSet},
			"period":    {kind: kindInt},
			"statistic": {
				kind:     kindString,
				validate: oneOf("SampleCount", "Average", "Sum", "Minimum", "Maximum"),
			},
			"tags":              {kind: kindStringMap},
			"threshold":         {kind: kindNumber},
			"thresholdMetricId": {kind: kindString},
			"treatMissingData": {
				kind: kindString, defaultValue: "missing",
				validate: oneOf("breaching", "notBreaching", "ignore", "missing"),
			},
			"unit": {kind: kindString},
		},
		outputs:  []string{"arn", "tagsAll"},
		autoname: &autoname{property: "name", maxLength: 255},
	},
	"aws:eks/podIdentityAssociation:PodIdentityAssociation": {
		properties: map[string]property{
			"clusterName":    {kind: kindString, required: true, forceNew: true},
			"namespace":      {kind: kindString, required: true, forceNew: true},
			"roleArn":        {kind: kindString, required: true},
			"serviceAccount": {kind: kindString, required: true, forceNew: true},
			"tags":           {kind: kindStringMap},
		},
		outputs: []string{"associationArn", "associationId", "tagsAll"},
	},
	"aws:rds/eventSubscription:EventSubscription": {
		properties: map[string]property{
			"enabled":         {kind: kindBool, defaultValue: true},
			"eventCategories": {kind: kindStringSet},
			"name":            {kind: kindString, forceNew: true, computed: true, validate: atMost(255)},
			"namePrefix":      {kind: kindString, forceNew: true, computed: true},
			"snsTopic":        {kind: kindString, required: true},
			"sourceIds":       {kind: kindStringSet},
			"sourceType":      {kind: kindString},
			"tags":            {kind: kindStringMap},
		},
		outputs:   []string{"arn", "customerAwsId", "tagsAll"},
		conflicts: [][2]string{{"name", "namePrefix"}},
		autoname:  &autoname{property: "name", maxLength: 255},
	},
	"aws:rds/proxy:Proxy": {
		properties: map[string]property{
			"auths": {kind: kindObjectSet, required: true, fields: map[string]property{
				"authScheme": {kind: kindString, validate: oneOf("SECRETS")},
				"clientPasswordAuthType": {
					kind: kindString, computed: true,
					validate: oneOf("MYSQL_CACHING_SHA2_PASSWORD",
						"MYSQL_NATIVE_PASSWORD", "POSTGRES_SCRAM_SHA_256", "POSTGRES_MD5", "SQL_SERVER_AUTHENTICATION"),
				},
				"description": {kind: kindString},
				"iamAuth":     {kind: kindString, validate: oneOf("DISABLED", "REQUIRED")},
				"secretArn":   {kind: kindString},
				"username":    {kind: kindString},
			}},
			"debugLogging": {kind: kindBool},
			"engineFamily": {
				kind: kindString, required: true, forceNew: true,
				validate: oneOf("MYSQL", "POSTGRESQL", "SQLSERVER"),
			},
			"idleClientTimeout":   {kind: kindInt, computed: true, validate: between(1, 28800)},
			"name":                {kind: kindString, computed: true, validate: rdsIdentifier(63, "")},
			"requireTls":          {kind: kindBool},
			"roleArn":             {kind: kindString, required: true},
			"tags":                {kind: kindStringMap},
			"vpcSecurityGroupIds": {kind: kindStringSet, computed: true},
			"vpcSubnetIds":        {kind: kindStringSet, required: true, forceNew: true},
		},
		outputs:  []string{"arn", "endpoint", "tagsAll"},
		autoname: &autoname{property: "name", maxLength: 63},
	},
	"aws:rds/proxyDefaultTargetGroup:ProxyDefaultTargetGroup": {
		properties: map[string]property{
			"connectionPoolConfig": {kind: kindObject, computed: true, fields: map[string]property{
				"connectionBorrowTimeout":   {kind: kindInt, defaultValue: 120, validate: between(0, 3600)},
				"initQuery":                 {kind: kindString},
				"maxConnectionsPercent":     {kind: kindInt, defaultValue: 100, validate: between(1, 100)},
				"maxIdleConnectionsPercent": {kind: kindInt, defaultValue: 50, validate: between(0, 100)},
				"sessionPinningFilters":     {kind: kindStringSet},
			}},
			"dbProxyName": {kind: kindString, required: true, forceNew: true},
		},
		outputs: []string{"arn", "name"},
	},
	"aws:rds/proxyTarget:ProxyTarget": {
		properties: map[string]property{
			"dbClusterIdentifier":  {kind: kindString, forceNew: true},
			"dbInstanceIdentifier": {kind: kindString, forceNew: true},
			"dbProxyName":          {kind: kindString, required: true, forceNew: true},
			"targetGroupName":      {kind: kindString, required: true, forceNew: true},
		},
		outputs:   []string{"endpoint", "port", "rdsResourceId", "targetArn", "trackedClusterId", "type"},
		conflicts: [][2]string{{"dbClusterIdentifier", "dbInstanceIdentifier"}},
	},
	"aws:rds/roleAssociation:RoleAssociation": {
		properties: map[string]property{
			"dbInstanceIdentifier": {kind: kindString, required: true, forceNew: true},
			"featureName":          {kind: kindString, required: true, forceNew: true},
			"roleArn":              {kind: kindString, required: true, forceNew: true},
		},
	},
	"aws:secretsmanager/secret:Secret": {
		properties: map[string]property{
			"description":                 {kind: kindString, validate: atMost(2048)},
			"forceOverwriteReplicaSecret": {kind: kindBool, defaultValue: false, writeOnly: true},
			"kmsKeyId":                    {kind: kindString},
			"name": {
				kind: kindString, forceNew: true, computed: true,
				validate: matching(validation.SecretName.Matches, `contain only letters, digits and "/_+=.@-"`),
			},
			"namePrefix":           {kind: kindString, forceNew: true, computed: true},
			"policy":               {kind: kindPolicy, computed: true},
			"recoveryWindowInDays": {kind: kindInt, defaultValue: 30, writeOnly: true, validate: between(0, 30)},
			"replicas": {kind: kindObjectSet, computed: true, fields: map[string]property{
				"kmsKeyId": {kind: kindString},
				"region":   {kind: kindString, required: true},
			}},
			"tags": {kind: kindStringMap},
		},
		outputs:   []string{"arn", "tagsAll"},
		conflicts: [][2]string{{"name", "namePrefix"}},
		autoname:  &autoname{property: "name", maxLength: 512},
	},
	"aws:secretsmanager/secretRotation:SecretRotation": {
		properties: map[string]property{
			"rotateImmediately": {kind: kindBool, defaultValue: true, writeOnly: true},
			"rotationLambdaArn": {kind: kindString},
			"rotationRules": {kind: kindObject, required: true, fields: map[string]property{
				"automaticallyAfterDays": {kind: kindInt, validate: between(1, 1000)},
				"duration":               {kind: kindString},
				"scheduleExpression":     {kind: kindString},
			}},
			"secretId": {kind: kindString, required: true, forceNew: true},
		},
		outputs: []string{"rotationEnabled"},
	},
}

// typeOf returns a resource type, if this server serves it.
func (p *provider) typeOf(name string) (*resourceType, bool) {
	if typ, ok := resourceTypes[name]; ok {
		return typ, true
	}
	typ, ok := awsOnlyTypes[name]
	return typ, ok && p.opts.Offline
}
