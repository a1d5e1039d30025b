package awsprovider

// awsOnlyTypes are those that a stack meant for AWS may hold and the local cloud does not model: an offline preview takes
// them, and a local stack is refused by name.
var awsOnlyTypes = map[string]*resourceType{
	"aws:cloudwatch/metricAlarm:MetricAlarm": {
		properties: map[string]property{
			"actionsEnabled":                    {kind: kindBool, defaultValue: true},
			"alarmActions":                      {kind: kindStringSet},
			"alarmDescription":                  {kind: kindString, validate: atMost(1024)},
			"comparisonOperator":                {kind: kindString, required: true},
			"datapointsToAlarm":                 {kind: kindInt},
			"dimensions":                        {kind: kindStringMap},
			"evaluateLowSampleCountPercentiles": {kind: kindString, computed: true, validate: oneOf("evaluate", "ignore")},
			"evaluationPeriods":                 {kind: kindInt, required: true},
			"extendedStatistic":                 {kind: kindString},
			"insufficientDataActions":           {kind: kindStringSet},
			"metricName":                        {kind: kindString},
			"name":                              {kind: kindString, forceNew: true, computed: true, validate: atMost(255)},
			"namespace":                         {kind: kindString},
			"okActions":                         {kind: kindStringSet},
			"period":                            {kind: kindInt},
			"statistic":                         {kind: kindString, validate: oneOf("SampleCount", "Average", "Sum", "Minimum", "Maximum")},
			"tags":                              {kind: kindStringMap},
			"threshold":                         {kind: kindNumber},
			"thresholdMetricId":                 {kind: kindString},
			"treatMissingData": {
				kind: kindString, defaultValue: "missing", validate: oneOf("breaching", "notBreaching", "ignore", "missing"),
			},
			"unit": {kind: kindString},
		},
		outputs:  []string{"arn", "tagsAll"},
		autoname: &autoname{property: "name", maxLength: 255},
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
	"aws:rds/roleAssociation:RoleAssociation": {
		properties: map[string]property{
			"dbInstanceIdentifier": {kind: kindString, required: true, forceNew: true},
			"featureName":          {kind: kindString, required: true, forceNew: true},
			"roleArn":              {kind: kindString, required: true, forceNew: true},
		},
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

// typeOf finds a type that this server serves.
func (p *provider) typeOf(name string) (*resourceType, bool) {
	if typ, ok := resourceTypes[name]; ok {
		return typ, true
	}
	typ, ok := awsOnlyTypes[name]
	return typ, ok && p.opts.Offline
}
