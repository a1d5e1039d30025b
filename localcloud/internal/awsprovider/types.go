package awsprovider

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"dbtier/validation"
)

// managedBy is the description that pulumi-aws sets where one is required.
const managedBy = "Managed by Pulumi"

// resourceTypes are the types that the local cloud models, with the inputs, defaults and replacements of pulumi-aws
// 6.83 and the Terraform provider (5.x) that it wraps.
//
// Each type lists all inputs of the real type. Those that the local cloud does not model are marked notLocal: an
// offline preview of a stack for AWS accepts them, and a local stack gets an error that names them.
var resourceTypes = map[string]*resourceType{
	"aws:kms/key:Key": {
		properties: map[string]property{
			"bypassPolicyLockoutSafetyCheck": {kind: kindBool, defaultValue: false, writeOnly: true},
			"customKeyStoreId":               {kind: kindString, forceNew: true, notLocal: true},
			"customerMasterKeySpec":          {kind: kindString, forceNew: true, defaultValue: "SYMMETRIC_DEFAULT"},
			"deletionWindowInDays":           {kind: kindInt, writeOnly: true, validate: between(7, 30)},
			"description":                    {kind: kindString, computed: true, validate: atMost(8192)},
			"enableKeyRotation":              {kind: kindBool, defaultValue: false},
			"isEnabled":                      {kind: kindBool, defaultValue: true},
			"keyUsage": {
				kind: kindString, forceNew: true, defaultValue: "ENCRYPT_DECRYPT",
				validate: oneOf("ENCRYPT_DECRYPT", "SIGN_VERIFY", "GENERATE_VERIFY_MAC", "KEY_AGREEMENT"),
			},
			"multiRegion":          {kind: kindBool, forceNew: true, computed: true, notLocal: true},
			"policy":               {kind: kindPolicy, computed: true},
			"rotationPeriodInDays": {kind: kindInt, computed: true, validate: between(90, 2560)},
			"tags":                 {kind: kindStringMap},
			"xksKeyId":             {kind: kindString, forceNew: true, notLocal: true},
		},
		outputs: []string{"arn", "keyId", "tagsAll"},
	},
	"aws:kms/alias:Alias": {
		properties: map[string]property{
			"name": {
				kind: kindString, forceNew: true, computed: true,
				validate: all(matching(validation.KeyAlias.Matches,
					`begin with "alias/" and hold only letters, digits, "_", "/" and "-"`), notReserved("alias/aws/")),
			},
			"namePrefix": {kind: kindString, forceNew: true, computed: true, notLocal: true},
			// AWS returns the key's id even if the program gave its ARN.
			"targetKeyId": {kind: kindString, required: true, normalize: keyID},
		},
		outputs:   []string{"arn", "targetKeyArn"},
		touches:   map[string][]string{"targetKeyId": {"targetKeyArn"}},
		conflicts: [][2]string{{"name", "namePrefix"}},
		autoname: &autoname{property: "name", maxLength: 256, transform: func(name string) string {
			if strings.HasPrefix(name, "alias/") {
				return name
			}
			return "alias/" + name
		}},
	},
	"aws:rds/subnetGroup:SubnetGroup": {
		properties: map[string]property{
			"description": {kind: kindString, defaultValue: managedBy},
			"name": {
				kind: kindString, forceNew: true, computed: true,
				validate: all(atMost(255), matching(validation.DBSubnetGroup.Matches,
					"hold only lower-case letters, digits, hyphens, underscores, periods and spaces"), notDefault),
			},
			"namePrefix": {kind: kindString, forceNew: true, computed: true, notLocal: true},
			"subnetIds":  {kind: kindStringSet, required: true},
			"tags":       {kind: kindStringMap},
		},
		outputs:   []string{"arn", "supportedNetworkTypes", "tagsAll", "vpcId"},
		touches:   map[string][]string{"subnetIds": {"supportedNetworkTypes", "vpcId"}},
		conflicts: [][2]string{{"name", "namePrefix"}},
		autoname:  &autoname{property: "name", maxLength: 255, transform: strings.ToLower},
	},
	"aws:rds/parameterGroup:ParameterGroup": {
		properties: map[string]property{
			"description": {kind: kindString, forceNew: true, defaultValue: managedBy},
			"family":      {kind: kindString, required: true, forceNew: true},
			"name":        {kind: kindString, forceNew: true, computed: true, validate: rdsIdentifier(255, ".")},
			"namePrefix":  {kind: kindString, forceNew: true, computed: true, notLocal: true},
			"parameters": {kind: kindObjectSet, fields: map[string]property{
				"applyMethod": {
					kind: kindString, defaultValue: "immediate", normalize: lowerCase,
					validate: oneOf("immediate", "pending-reboot"),
				},
				"name":  {kind: kindString, required: true, normalize: lowerCase},
				"value": {kind: kindString, required: true},
			}},
			"skipDestroy": {kind: kindBool, defaultValue: false, writeOnly: true},
			"tags":        {kind: kindStringMap},
		},
		outputs:   []string{"arn", "tagsAll"},
		conflicts: [][2]string{{"name", "namePrefix"}},
		autoname:  &autoname{property: "name", maxLength: 255, transform: strings.ToLower},
	},
	"aws:rds/instance:Instance": instanceType,
	"aws:ec2/securityGroup:SecurityGroup": {
		properties: map[string]property{
			"description": {
				kind: kindString, forceNew: true, defaultValue: managedBy,
				validate: all(atMost(255), matching(validation.SecurityGroupText.Matches,
					`hold only letters, digits, spaces and "._-:/()#,@[]+=&;{}!$*"`)),
			},
			"egress":  {kind: kindObjectSet, computed: true, fields: securityGroupRule},
			"ingress": {kind: kindObjectSet, computed: true, fields: securityGroupRule},
			"name": {
				kind: kindString, forceNew: true, computed: true,
				validate: all(atMost(255), notReserved("sg-")),
			},
			"namePrefix":          {kind: kindString, forceNew: true, computed: true, notLocal: true},
			"revokeRulesOnDelete": {kind: kindBool, defaultValue: false, writeOnly: true},
			"tags":                {kind: kindStringMap},
			"vpcId":               {kind: kindString, forceNew: true, computed: true},
		},
		outputs:   []string{"arn", "ownerId", "tagsAll"},
		conflicts: [][2]string{{"name", "namePrefix"}},
		autoname:  &autoname{property: "name", maxLength: 255},
	},
	"aws:cloudwatch/logGroup:LogGroup": {
		properties: map[string]property{
			"kmsKeyId": {kind: kindString},
			"logGroupClass": {
				kind: kindString, forceNew: true, computed: true,
				validate: oneOf("STANDARD", "INFREQUENT_ACCESS", "DELIVERY"),
			},
			"name": {
				kind: kindString, forceNew: true, computed: true,
				validate: matching(validation.LogGroup.Matches, `hold only letters, digits and "._/#-"`),
			},
			"namePrefix": {kind: kindString, forceNew: true, computed: true, notLocal: true},
			"retentionInDays": {
				kind: kindInt, defaultValue: 0,
				validate: oneOf(slices.Concat([]int{0}, validation.LogRetentions)...),
			},
			"skipDestroy": {kind: kindBool, defaultValue: false, writeOnly: true},
			"tags":        {kind: kindStringMap},
		},
		outputs:   []string{"arn", "tagsAll"},
		conflicts: [][2]string{{"name", "namePrefix"}},
		autoname:  &autoname{property: "name", maxLength: 512},
	},
	"aws:iam/role:Role": {
		properties: map[string]property{
			"assumeRolePolicy":    {kind: kindPolicy, required: true},
			"description":         {kind: kindString, validate: atMost(1000)},
			"forceDetachPolicies": {kind: kindBool, defaultValue: false, writeOnly: true},
			"inlinePolicies": {kind: kindObjectSet, computed: true, notLocal: true, fields: map[string]property{
				"name":   {kind: kindString},
				"policy": {kind: kindPolicy},
			}},
			"managedPolicyArns":   {kind: kindStringSet, computed: true, notLocal: true},
			"maxSessionDuration":  {kind: kindInt, defaultValue: 3600, validate: between(3600, 43200)},
			"name":                {kind: kindString, forceNew: true, computed: true, validate: iamName(64, validation.RoleName)},
			"namePrefix":          {kind: kindString, forceNew: true, computed: true, notLocal: true},
			"path":                {kind: kindString, forceNew: true, defaultValue: "/", validate: iamPath},
			"permissionsBoundary": {kind: kindString},
			"tags":                {kind: kindStringMap},
		},
		outputs:   []string{"arn", "createDate", "tagsAll", "uniqueId"},
		conflicts: [][2]string{{"name", "namePrefix"}},
		autoname:  &autoname{property: "name", maxLength: 64},
	},
	"aws:iam/rolePolicy:RolePolicy": {
		properties: map[string]property{
			"name":       {kind: kindString, forceNew: true, computed: true, validate: iamName(128, validation.PolicyName)},
			"namePrefix": {kind: kindString, forceNew: true, computed: true, notLocal: true},
			"policy":     {kind: kindPolicy, required: true},
			"role":       {kind: kindString, required: true, forceNew: true},
		},
		conflicts: [][2]string{{"name", "namePrefix"}},
		autoname:  &autoname{property: "name", maxLength: 128},
	},
	"aws:iam/rolePolicyAttachment:RolePolicyAttachment": {
		properties: map[string]property{
			"policyArn": {kind: kindString, required: true, forceNew: true},
			"role":      {kind: kindString, required: true, forceNew: true},
		},
	},
}

// securityGroupRule is an inline rule. Terraform compares inline rules as a set.
var securityGroupRule = map[string]property{
	"cidrBlocks":     {kind: kindStringSet},
	"description":    {kind: kindString, validate: atMost(255)},
	"fromPort":       {kind: kindInt, required: true, validate: between(-1, 65535)},
	"ipv6CidrBlocks": {kind: kindStringSet},
	"prefixListIds":  {kind: kindStringSet},
	"protocol":       {kind: kindString, required: true, normalize: protocol},
	"securityGroups": {kind: kindStringSet},
	"self":           {kind: kindBool},
	"toPort":         {kind: kindInt, required: true, validate: between(-1, 65535)},
}

// instanceType is the database instance. Its id is the DbiResourceId, which stays the same when the instance is
// renamed. Changing the identifier or the subnet group is therefore an update, not a replacement.
var instanceType = &resourceType{
	properties: map[string]property{
		"allocatedStorage":         {kind: kindInt, computed: true, validate: between(5, 65536)},
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
				"begin with a letter, hold only letters, digits and single hyphens, and not end in a hyphen")),
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
			kind: kindObject, forceNew: true, writeOnly: true, notLocal: true,
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
		"snapshotIdentifier": {kind: kindString, forceNew: true, computed: true, notLocal: true},
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

// typeNames returns the names of the modelled types, sorted.
func typeNames() []string { return slices.Sorted(maps.Keys(resourceTypes)) }

func all(checks ...func(any) string) func(any) string {
	return func(v any) string {
		for _, check := range checks {
			if reason := check(v); reason != "" {
				return reason
			}
		}
		return ""
	}
}

func between(low, high float64) func(any) string {
	return func(v any) string {
		if n, _ := v.(float64); n < low || n > high {
			return fmt.Sprintf("must be between %v and %v", low, high)
		}
		return ""
	}
}

func atMost(length int) func(any) string {
	return func(v any) string {
		if s, _ := v.(string); len(s) > length {
			return fmt.Sprintf("must have at most %d characters, not %d", length, len(s))
		}
		return ""
	}
}

func pattern(expression string) func(string) bool { return regexp.MustCompile(expression).MatchString }

func matching(matches func(string) bool, must string) func(any) string {
	return func(v any) string {
		if s, _ := v.(string); !matches(s) {
			return "must " + must
		}
		return ""
	}
}

func oneOf[T string | int](allowed ...T) func(any) string {
	return func(v any) string {
		for _, a := range allowed {
			if fmt.Sprint(v) == fmt.Sprint(a) {
				return ""
			}
		}
		return "must be one of " + listing(allowed)
	}
}

func eachOneOf(allowed ...string) func(any) string {
	check := oneOf(allowed...)
	return func(v any) string {
		list, _ := v.([]any)
		for _, e := range list {
			if reason := check(e); reason != "" {
				return fmt.Sprintf("holds %q; each %s", e, reason)
			}
		}
		return ""
	}
}

func listing[T string | int](values []T) string {
	words := make([]string, 0, len(values))
	for _, v := range values {
		words = append(words, fmt.Sprint(v))
	}
	return strings.Join(words, ", ")
}

// rdsIdentifier checks names of instances and parameter groups. extra are characters allowed besides letters, digits
// and hyphens.
func rdsIdentifier(length int, extra string) func(any) string {
	must := "begin with a letter, hold only lower-case letters, digits and single hyphens, and not end in a hyphen"
	if extra != "" {
		must = "begin with a letter, hold only lower-case letters, digits, periods and single hyphens, and not end " +
			"in a hyphen"
	}
	set := "[0-9a-z" + regexp.QuoteMeta(extra) + "]"
	return all(atMost(length), matching(pattern(`^[a-z]`+set+`*(-`+set+`+)*$`), must), notDefault)
}

func notDefault(v any) string {
	if v == "default" {
		return `must not be "default", which AWS reserves`
	}
	return ""
}

func notReserved(prefix string) func(any) string {
	return func(v any) string {
		if s, _ := v.(string); strings.HasPrefix(s, prefix) {
			return fmt.Sprintf("must not begin with %q, which AWS reserves", prefix)
		}
		return ""
	}
}

func iamName(length int, form *validation.Form) func(any) string {
	return all(atMost(length), matching(form.Matches, `hold only letters, digits and "_+=,.@-"`))
}

func iamPath(v any) string {
	return all(atMost(512), matching(validation.RolePath.Matches, `begin and end with "/"`))(v)
}

func lowerCase(v any) any {
	if s, ok := v.(string); ok {
		return strings.ToLower(s)
	}
	return v
}

// protocol converts names and numbers of IP protocols to one form.
func protocol(v any) any {
	s, ok := v.(string)
	if !ok {
		return v
	}
	switch s = strings.ToLower(s); s {
	case "all":
		return "-1"
	case "6":
		return "tcp"
	case "17":
		return "udp"
	case "1":
		return "icmp"
	default:
		return s
	}
}

// keyID returns the key's id from its ARN.
func keyID(v any) any {
	s, ok := v.(string)
	if !ok {
		return v
	}
	if _, id, found := strings.Cut(s, ":key/"); found {
		return id
	}
	return s
}

// isVersionPrefix reports whether the actual version belongs to the version that the program asked for, such as "16".
func isVersionPrefix(asked, actual any) bool {
	a, _ := asked.(string)
	b, _ := actual.(string)
	return a != "" && strings.HasPrefix(b, strings.TrimSuffix(a, ".")+".")
}
