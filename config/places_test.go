package config_test

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/config"
)

// faultsOf returns the faults of the least config with more text, one a line.
func faultsOf(t *testing.T, more string) string {
	t.Helper()
	_, err := config.Parse(read(t, least+more), noStacks)
	if err == nil {
		return ""
	}
	return err.Error()
}

// with returns the least config with one more key in a section that it already has.
func with(section, keys string) string {
	return regexp.MustCompile(`(?m)^(  dbtier:`+section+`:.*)\}$`).ReplaceAllString(least, "$1, "+keys+"}")
}

// arnSettings are all settings that take ARNs: the config that sets one, the service that it must be of and its
// resource. Each also says what may differ from the stack's place.
var arnSettings = map[string]struct {
	set, service, resource string
	otherAccount           bool
}{
	"aws.permissionsBoundaryArn": {set: "aws: permissionsBoundaryArn: %s", service: "iam", resource: "policy/bound"},
	"cluster.oidcProviderArn": {
		set: "cluster: oidcProviderArn: %s", service: "iam", resource: "oidc-provider/oidc.eks.ap-northeast-2.amazonaws.com/id/A",
	},
	"database.kmsKeyArn":         {set: "database: kmsKeyArn: %s", service: "kms", resource: "key/a", otherAccount: true},
	"database.logKmsKeyArn":      {set: "database: logKmsKeyArn: %s", service: "kms", resource: "key/a", otherAccount: true},
	"database.monitoringRoleArn": {set: "database: monitoringRoleArn: %s", service: "iam", resource: "role/m"},
	"database.roles.s3Import":    {set: "database: roles: {s3Import: %s}", service: "iam", resource: "role/m"},
	"database.events.topicArn": {
		set: "database: events: {topicArn: %s}", service: "sns", resource: "topic", otherAccount: true,
	},
	"database.alarms.topicArns[0]": {
		set: "database: alarms: {topicArns: [%s]}", service: "sns", resource: "topic", otherAccount: true,
	},
	"database.restore.snapshotIdentifier": {
		set: "database: restore: {snapshotIdentifier: %s}", service: "rds", resource: "snapshot:s", otherAccount: true,
	},
	"database.restore.pointInTime.sourceDbInstanceAutomatedBackupsArn": {
		set:     "database: restore: {pointInTime: {useLatestRestorableTime: true, sourceDbInstanceAutomatedBackupsArn: %s}}",
		service: "rds", resource: "auto-backup:ab-a1",
	},
	"secrets.further[0].arn": {
		set: "secrets: further: [{name: s, arn: %s}]", service: "secretsmanager", resource: "secret:s-AbCdEf",
	},
	"secrets.further[0].kmsKeyArn": {
		set: "secrets: further: [{name: s, arn: arn:aws:secretsmanager:ap-northeast-2:123456789012:secret:s-AbCdEf, " +
			"kmsKeyArn: %s}]", service: "kms", resource: "key/a", otherAccount: true,
	},
	"pool.logins[0].credentialArn": {
		set: "pool: logins: [{name: reports, credentialArn: %s}]", service: "secretsmanager", resource: "secret:s-AbCdEf",
	},
	"pool.logins[0].kmsKeyArn": {
		set: "pool: logins: [{name: reports, kmsKeyArn: %s, " +
			"credentialArn: arn:aws:secretsmanager:ap-northeast-2:123456789012:secret:s-AbCdEf}]",
		service: "kms", resource: "key/a", otherAccount: true,
	},
}

// setting returns the least config with a setting from the table.
func setting(set, value string) string {
	section, keys, _ := strings.Cut(fmt.Sprintf(set, value), ": ")
	switch section {
	case "aws":
		return with("aws", keys)
	case "cluster":
		return regexp.MustCompile(`oidcProviderArn: .*`).ReplaceAllString(least, keys)
	default:
		return least + "  dbtier:" + section + ":\n    " + keys + "\n"
	}
}

func TestAnARNMustBeOfThePlaceThatItsServiceAccepts(t *testing.T) {
	t.Parallel()
	for path, test := range arnSettings {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			faults := func(partition, region, account string) string {
				if test.service == "iam" {
					region = ""
				}
				arn := fmt.Sprintf("arn:%s:%s:%s:%s:%s", partition, test.service, region, account, test.resource)
				_, err := config.Parse(read(t, setting(test.set, arn)), noStacks)
				if err == nil {
					return ""
				}
				return err.Error()
			}
			assert.Empty(t, faults("aws", "ap-northeast-2", "123456789012"))
			assert.Contains(t, faults("aws-cn", "ap-northeast-2", "123456789012"),
				"dbtier:"+path+`: "arn:aws-cn:`)
			assert.Contains(t, faults("aws-cn", "ap-northeast-2", "123456789012"),
				"is in the partition aws-cn, and the stack is in aws")
			if test.service != "iam" {
				assert.Contains(t, faults("aws", "eu-west-1", "123456789012"),
					"is in the region eu-west-1, and the stack is in ap-northeast-2")
			}
			if elsewhere := faults("aws", "ap-northeast-2", "210987654321"); test.otherAccount {
				assert.Empty(t, elsewhere)
			} else {
				assert.Contains(t, elsewhere, "is of the account 210987654321, and the stack is in 123456789012")
			}
		})
	}
}

// A setting that takes an ARN and is added to the schema must be added to the table, too.
func TestEverySettingThatTakesAnARNIsCompared(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("schema.json")
	require.NoError(t, err)
	var schema any
	require.NoError(t, json.Unmarshal(text, &schema))
	found := 0
	var visit func(node any, path string)
	visit = func(node any, path string) {
		of, _ := node.(map[string]any)
		for key, property := range of {
			switch key {
			case "properties":
				for name, child := range property.(map[string]any) {
					visit(child, strings.TrimPrefix(path+"."+strings.TrimPrefix(name, "dbtier:"), "."))
				}
			case "items":
				visit(property, path+"[0]")
			case "additionalProperties":
				visit(property, path)
			}
		}
		if regexp.MustCompile(`[aA]rn(s\[0\])?$`).MatchString(path) && of["type"] == "string" &&
			!strings.Contains(path, "stackReference") {
			found++
			assert.Contains(t, arnSettings, strings.TrimPrefix(path, "config."))
		}
	}
	visit(schema, "")
	assert.Greater(t, found, 10)
}

func TestASecretOfAnotherAccountNeedsItsKey(t *testing.T) {
	t.Parallel()
	const arn = "arn:aws:secretsmanager:ap-northeast-2:210987654321:secret:s-AbCdEf"
	assert.Contains(t, faultsOf(t, "  dbtier:secrets: {further: [{name: s, arn: "+arn+"}]}\n"), "name the key in kmsKeyArn")
	assert.Empty(t, faultsOf(t, "  dbtier:secrets: {further: [{name: s, arn: "+arn+
		", kmsKeyArn: arn:aws:kms:ap-northeast-2:210987654321:key/a}]}\n"))
}

func TestRegionPartitionAndProviderAgree(t *testing.T) {
	t.Parallel()
	for change, want := range map[string]string{
		"ap-northeast-2, /eu-centrl-1, ": `aws.region: "eu-centrl-1": is not a region of AWS; did you mean eu-central-1?`,
		"ap-northeast-2, /cn-north-1, ":  `aws.partition: "aws": is not the partition of cn-north-1; want aws-cn`,
		"ap-northeast-2, /eu-north-1, ": `cluster.oidcProviderArn: "arn:aws:iam::123456789012:oidc-provider/oidc.eks.` +
			`ap-northeast-2.amazonaws.com/id/0A1B": is the provider of a cluster in ap-northeast-2, and the stack is in eu-north-1`,
		`"123456789012"/"210987654321"`: `is of the account 123456789012, and the stack is in 210987654321; want the provider`,
	} {
		before, after, _ := strings.Cut(change, "/")
		_, err := config.Parse(read(t, strings.Replace(least, before, after, 1)), noStacks)
		require.ErrorContains(t, err, want)
		assert.Equal(t, 1, strings.Count(err.Error(), "dbtier:"), "%s", err)
	}
	_, err := config.Parse(read(t, strings.NewReplacer("region: ap-northeast-2", "region: cn-north-1, partition: aws-cn",
		"arn:aws:", "arn:aws-cn:", "oidc.eks.ap-northeast-2.amazonaws.com", "oidc.eks.cn-north-1.amazonaws.com.cn").
		Replace(least)), noStacks)
	require.NoError(t, err)
}

func TestAddressRangesAreThoseOfSubnets(t *testing.T) {
	t.Parallel()
	for ranges, want := range map[string]string{
		"[10.0.192.0/20, 10.0.208.0/20]":    "",
		`[10.0.0.0/16, "fd00:0:0:1::/64"]`:  "",
		"[0.0.0.0/0]":                       `databaseCidrs[0]: "0.0.0.0/0": is no range of a subnet`,
		`["::/0"]`:                          `databaseCidrs[0]: "::/0": is no range of a subnet`,
		"[10.0.0.0/8]":                      "AWS makes from /16 to /28",
		"[10.0.0.0/29]":                     "AWS makes from /16 to /28",
		"[10.0.192.0/20, 10.0.192.0/20]":    `databaseCidrs[1]: "10.0.192.0/20": overlaps with 10.0.192.0/20`,
		"[10.0.192.0/20, 10.0.193.0/24]":    `databaseCidrs[1]: "10.0.193.0/24": overlaps with 10.0.192.0/20`,
		"[10.0.192.1/20]":                   "has bits set after its prefix length; want 10.0.192.0/20",
		`["fd00:0:0:1::/65"]`:               "AWS makes from /44 to /64",
		"[10.0.0.0/20, 0.0.0.0/0, 10.1/16]": "databaseCidrs[2]",
	} {
		_, err := config.Parse(read(t, strings.Replace(least, "[10.0.192.0/20]", ranges, 1)), noStacks)
		if want == "" {
			require.NoError(t, err, ranges)
			continue
		}
		require.ErrorContains(t, err, want, ranges)
	}
}

func TestASecurityGroupIsAdmittedOnce(t *testing.T) {
	t.Parallel()
	const clients = "    databaseCidrs: [10.0.192.0/20]\n    clients: "
	for list, want := range map[string]string{
		"[{name: a, securityGroupId: sg-0123456789abcdef1}, {name: b, securityGroupId: sg-0123456789abcdef2}]": "",
		"[{name: a, securityGroupId: sg-0123456789abcdef1}, {name: b, securityGroupId: sg-0123456789abcdef1}]": `network.` +
			`clients[1].securityGroupId: "sg-0123456789abcdef1": is the security group of network.clients[0].securityGroupId`,
		"[{name: a, securityGroupId: sg-0123456789abcdef0}]":     "is the security group of cluster.nodeSecurityGroupId",
		`[{name: "a'b", securityGroupId: sg-0123456789abcdef1}]`: `network.clients[0].name: "a'b": want 1 to 100`,
	} {
		_, err := config.Parse(read(t, strings.Replace(least, "    databaseCidrs: [10.0.192.0/20]", clients+list, 1)), noStacks)
		if want == "" {
			require.NoError(t, err, list)
			continue
		}
		require.ErrorContains(t, err, want, list)
	}
}

func TestTagsAreThoseThatEveryServiceAccepts(t *testing.T) {
	t.Parallel()
	for tags, want := range map[string]string{
		"{team: shop, Kostenstelle: ä}": "",
		"{Service: x}":                  `aws.tags.Service: "x": is the key of a tag that every resource has (service`,
		"{team: a, Team: b}":            "differs from Team by case only",
		`{team: "a,b"}`:                 `aws.tags.team: "a,b": has a value that RDS and IAM refuse`,
		`{"aws:team": a}`:               "which AWS reserves",
	} {
		_, err := config.Parse(read(t, with("aws", "tags: "+tags)), noStacks)
		if want == "" {
			require.NoError(t, err, tags)
			continue
		}
		require.ErrorContains(t, err, want, tags)
	}
}
