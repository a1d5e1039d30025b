package awsprovider

// instanceType is the database instance. Its id is the DbiResourceId, which stays the same when the instance is
// renamed. Changing the identifier or the subnet group is therefore an update, not a replacement.
var instanceType = &resourceType{
	properties: map[string]property{
		"allocatedStorage": {
			kind: kindInt, computed: true, validate: between(5, 65536), growsTo: "maxAllocatedStorage",
		},
		"allowMajorVersionUpgrade": {kind: kindBool, writeOnly: true},
		"applyImmediately":         {kind: kindBool, defaultValue: false, writeOnly: true},
		"autoMinorVersionUpgrade":  {kind: kindBool, defaultValue: true},
		"availabilityZone":         {kind: kindString, forceNew: true, computed: true},
		"backupRetentionPeriod":    {kind: kindInt, computed: true, validate: between(0, 35)},
		"backupTarget":             {kind: kindString, forceNew: true, computed: true, notLocal: true},
		"backupWindow": {
			kind: kindString, computed: true,
			validate: matching(pattern(`^([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9]$`),
				`have the form "hh:mm-hh:mm" (UTC), for example "03:00-04:00"`),
		},
		"blueGreenUpdate": {kind: kindObject, writeOnly: true, notLocal: true, fields: map[string]property{
			"enabled": {kind: kindBool},
		}},
		"caCertIdentifier":         {kind: kindString, computed: true},
		"characterSetName":         {kind: kindString, forceNew: true, computed: true, notLocal: true},
		"copyTagsToSnapshot":       {kind: kindBool, defaultValue: false},
		"customIamInstanceProfile": {kind: kindString, forceNew: true, notLocal: true},
		"customerOwnedIpEnabled":   {kind: kindBool, notLocal: true},
		"databaseInsightsMode":     {kind: kindString, computed: true, validate: oneOf("standard", "advanced")},
		"dbName":                   {kind: kindString, forceNew: true, computed: true},
		"dbSubnetGroupName":        {kind: kindString, computed: true},
		"dedicatedLogVolume":       {kind: kindBool, defaultValue: false, notLocal: true},
		"deleteAutomatedBackups":   {kind: kindBool, defaultValue: true, writeOnly: true},
		"deletionProtection":       {kind: kindBool},
		"domain":                   {kind: kindString, notLocal: true},
		"domainAuthSecretArn":      {kind: kindString, notLocal: true},
		"domainDnsIps":             {kind: kindStringSet, notLocal: true},
		"domainFqdn":               {kind: kindString, computed: true, notLocal: true},
		"domainIamRoleName":        {kind: kindString, notLocal: true},
		"domainOu":                 {kind: kindString, notLocal: true},
		"enabledCloudwatchLogsExports": {
			kind: kindStringSet,
			validate: eachOneOf("agent", "alert", "audit", "diag.log", "error", "general", "iam-db-auth-error",
				"listener",
				"notify.log", "oemagent", "postgresql", "slowquery", "trace", "upgrade"),
		},
		"engine": {kind: kindString, forceNew: true, computed: true, normalize: lowerCase},
		"engineLifecycleSupport": {
			kind: kindString, forceNew: true, computed: true,
			validate: oneOf("open-source-rds-extended-support", "open-source-rds-extended-support-disabled"),
		},
		"engineVersion": {kind: kindString, computed: true, covers: isVersionPrefix},
		"finalSnapshotIdentifier": {
			kind: kindString, writeOnly: true,
			validate: all(atMost(255), matching(pattern(`^[A-Za-z][0-9A-Za-z]*(-[0-9A-Za-z]+)*$`),
				"begin with a letter, contain only letters, digits and single hyphens, and not end with a hyphen")),
		},
		"iamDatabaseAuthenticationEnabled": {kind: kindBool},
		"identifier":                       {kind: kindString, computed: true, validate: rdsIdentifier(63, "")},
		"identifierPrefix":                 {kind: kindString, forceNew: true, computed: true, notLocal: true},
		"instanceClass":                    {kind: kindString, required: true},
		"iops":                             {kind: kindInt, computed: true},
		"kmsKeyId": {
			kind: kindString, forceNew: true, computed: true,
			// The real plugin requires the full ARN too. On AWS, any other value would always show as a difference.
			validate: matching(pattern(`^arn:aws[a-z-]*:kms:`), "be the ARN of the key, not its id or alias"),
		},
		"licenseModel": {kind: kindString, computed: true},
		"maintenanceWindow": {
			kind: kindString, computed: true, normalize: lowerCase,
			validate: matching(pattern(`(?i)^(mon|tue|wed|thu|fri|sat|sun):([01][0-9]|2[0-3]):[0-5][0-9]-`+
				`(mon|tue|wed|thu|fri|sat|sun):([01][0-9]|2[0-3]):[0-5][0-9]$`),
				`have the form "ddd:hh:mm-ddd:hh:mm" (UTC), for example "Mon:04:00-Mon:05:00"`),
		},
		"manageMasterUserPassword": {kind: kindBool},
		"masterUserSecretKmsKeyId": {kind: kindString, computed: true},
		"maxAllocatedStorage":      {kind: kindInt},
		"monitoringInterval":       {kind: kindInt, defaultValue: 0, validate: oneOf(0, 1, 5, 10, 15, 30, 60)},
		"monitoringRoleArn":        {kind: kindString, computed: true},
		"multiAz":                  {kind: kindBool, computed: true},
		"name":                     {kind: kindString, forceNew: true, computed: true, notLocal: true},
		"ncharCharacterSetName":    {kind: kindString, forceNew: true, computed: true, notLocal: true},
		"networkType":              {kind: kindString, computed: true, validate: oneOf("IPV4", "DUAL")},
		"optionGroupName":          {kind: kindString, computed: true, notLocal: true},
		"parameterGroupName":       {kind: kindString, computed: true},
		"password":                 {kind: kindString, secret: true, writeOnly: true},

		"performanceInsightsEnabled":  {kind: kindBool, defaultValue: false},
		"performanceInsightsKmsKeyId": {kind: kindString, computed: true},
		"performanceInsightsRetentionPeriod": {
			kind: kindInt, computed: true,
			validate: func(v any) string {
				if n, _ := v.(float64); n == 7 || n == 731 || (n > 0 && n < 731 && int(n)%31 == 0) {
					return ""
				}
				return "must be 7, 731 or a multiple of 31 up to 713 (days)"
			},
		},
		"port":               {kind: kindInt, computed: true, validate: between(1150, 65535)},
		"publiclyAccessible": {kind: kindBool, defaultValue: false},
		"replicaMode":        {kind: kindString, computed: true, notLocal: true},
		"replicateSourceDb":  {kind: kindString, notLocal: true},
		"restoreToPointInTime": {
			kind: kindObject, forceNew: true, writeOnly: true,
			fields: map[string]property{
				"restoreTime":                         {kind: kindString},
				"sourceDbInstanceAutomatedBackupsArn": {kind: kindString},
				"sourceDbInstanceIdentifier":          {kind: kindString},
				"sourceDbiResourceId":                 {kind: kindString},
				"useLatestRestorableTime":             {kind: kindBool},
			},
		},
		"s3Import": {kind: kindObject, forceNew: true, writeOnly: true, notLocal: true, fields: map[string]property{
			"bucketName":          {kind: kindString, required: true},
			"bucketPrefix":        {kind: kindString},
			"ingestionRole":       {kind: kindString, required: true},
			"sourceEngine":        {kind: kindString, required: true},
			"sourceEngineVersion": {kind: kindString, required: true},
		}},
		"skipFinalSnapshot":  {kind: kindBool, defaultValue: false, writeOnly: true},
		"snapshotIdentifier": {kind: kindString, forceNew: true, computed: true},
		"storageEncrypted":   {kind: kindBool, forceNew: true},
		"storageThroughput":  {kind: kindInt, computed: true},
		"storageType": {
			kind: kindString, computed: true,
			validate: oneOf("standard", "gp2", "gp3", "io1", "io2"),
		},
		"tags":                 {kind: kindStringMap},
		"timezone":             {kind: kindString, forceNew: true, computed: true, notLocal: true},
		"upgradeStorageConfig": {kind: kindBool, writeOnly: true, notLocal: true},
		"username":             {kind: kindString, forceNew: true, computed: true},
		"vpcSecurityGroupIds":  {kind: kindStringSet, computed: true},
	},
	outputs: []string{
		"address", "arn", "endpoint", "engineVersionActual", "hostedZoneId", "latestRestorableTime",
		"listenerEndpoints",
		"masterUserSecrets", "replicas", "resourceId", "status", "tagsAll",
	},
	// The real plugin previews most of these with the old value, which is wrong after the update. A program must be
	// able to handle an unknown.
	touches: map[string][]string{
		"engineVersion":            {"engineVersionActual"},
		"identifier":               {"address", "arn", "endpoint", "listenerEndpoints"},
		"manageMasterUserPassword": {"masterUserSecrets"},
		"masterUserSecretKmsKeyId": {"masterUserSecrets"},
		"port":                     {"endpoint", "listenerEndpoints"},
	},
	autoname: &autoname{property: "identifier", maxLength: 63},
	conflicts: [][2]string{
		{"identifier", "identifierPrefix"},
		{"password", "manageMasterUserPassword"},
		{"restoreToPointInTime", "snapshotIdentifier"},
	},
}
