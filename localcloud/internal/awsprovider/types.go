package awsprovider

import (
	"maps"
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
					`begin with "alias/" and contain only letters, digits, "_", "/" and "-"`),
					notReserved("alias/aws/")),
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
					"contain only lower-case letters, digits, hyphens, underscores, periods and spaces"), notDefault),
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
	"aws:rds/snapshot:Snapshot": {
		properties: map[string]property{
			"dbInstanceIdentifier": {kind: kindString, required: true, forceNew: true},
			"dbSnapshotIdentifier": {
				kind: kindString, required: true, forceNew: true, validate: rdsIdentifier(255, ""),
			},
			"sharedAccounts": {kind: kindStringSet, notLocal: true},
			"tags":           {kind: kindStringMap},
		},
		outputs: []string{
			"allocatedStorage", "availabilityZone", "dbSnapshotArn", "encrypted", "engine", "engineVersion", "iops",
			"kmsKeyId", "licenseModel", "optionGroupName", "port", "snapshotType", "sourceDbSnapshotIdentifier",
			"sourceRegion", "status", "storageType", "tagsAll", "vpcId",
		},
	},
	"aws:rds/parameterGroup:ParameterGroup": {
		properties: map[string]property{
			"description": {kind: kindString, forceNew: true, defaultValue: managedBy},
			"family":      {kind: kindString, required: true, forceNew: true},
			"name":        {kind: kindString, forceNew: true, computed: true, validate: rdsIdentifier(255, ".")},
			"namePrefix":  {kind: kindString, forceNew: true, computed: true, notLocal: true},
			"parameters": {kind: kindObjectSet, reported: true, fields: map[string]property{
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
					`contain only letters, digits, spaces and "._-:/()#,@[]+=&;{}!$*"`)),
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
				validate: matching(validation.LogGroup.Matches, `contain only letters, digits and "._/#-"`),
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
			"managedPolicyArns":  {kind: kindStringSet, computed: true, notLocal: true},
			"maxSessionDuration": {kind: kindInt, defaultValue: 3600, validate: between(3600, 43200)},
			"name": {
				kind: kindString, forceNew: true, computed: true,
				validate: iamName(64, validation.RoleName),
			},
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
			"name": {
				kind: kindString, forceNew: true, computed: true,
				validate: iamName(128, validation.PolicyName),
			},
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

// typeNames returns the names of the modelled types, sorted.
func typeNames() []string { return slices.Sorted(maps.Keys(resourceTypes)) }
