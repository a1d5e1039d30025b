package validation_test

import (
	"strings"
	"testing"

	"dbtier/validation"
)

// Each form with texts that its owner accepts and refuses.
var forms = map[string]struct {
	form          *validation.Form
	good, refused []string
}{
	"label": {
		validation.Label,
		[]string{"a", "myshop-api", "0", strings.Repeat("a", 63)},
		[]string{"", "-a", "a-", "A", "a.b", "a_b", strings.Repeat("a", 64)},
	},
	"label key": {
		validation.LabelKey,
		[]string{"app", "app.kubernetes.io/name", "A_b.c"},
		[]string{"", "/name", "app/", "a/b/c", "-a"},
	},
	"label value": {
		validation.LabelValue,
		[]string{"", "a", "A_b.c"},
		[]string{"-a", "a b", strings.Repeat("a", 64)},
	},
	"data key":    {validation.DataKey, []string{"ca.pem", "A-b_c"}, []string{"", "a/b", "a b"}},
	"secret type": {validation.SecretType, []string{"Opaque", "kubernetes.io/tls"}, []string{"", "/", "a b"}},
	"env name":    {validation.EnvName, []string{"A", "_a1"}, []string{"", "1A", "A-B", "a.b"}},
	"region": {
		validation.Region,
		[]string{"us-gov-west-1", "eu-central-1"},
		[]string{"", "eu", "eu-central-1a"},
	},
	"zone": {
		validation.AvailabilityZone,
		[]string{"eu-central-1a", "us-west-2-lax-1a"},
		[]string{"eu-central-1"},
	},
	"account": {validation.AccountID, []string{"111122223333"}, []string{"", "11112222333", "11112222333a"}},
	"vpc":     {validation.VpcID, []string{"vpc-0a1b2c3d"}, []string{"vpc-", "vpc-xyz00000", "0a1b2c3d"}},
	"subnet":  {validation.SubnetID, []string{"subnet-0a1b2c3d4e5f60718"}, []string{"subnet-1"}},
	"group":   {validation.SecurityGroupID, []string{"sg-0a1b2c3d"}, []string{"sg-1", "default"}},
	"group rule": {
		validation.SecurityGroupRule,
		[]string{"EKS nodes"},
		[]string{"", " a", "a'b", strings.Repeat("a", 101)},
	},
	"group text": {
		validation.SecurityGroupText,
		[]string{"", "a [b]", strings.Repeat("a", 255)},
		[]string{"a'b", strings.Repeat("a", 256)},
	},
	"key alias": {
		validation.KeyAlias,
		[]string{"alias/rds/a_B-1"},
		[]string{"alias/", "rds/a", "alias/a b", "alias/" + strings.Repeat("a", 251)},
	},
	"secret name": {
		validation.SecretName,
		[]string{"a/b_+=.@-c", strings.Repeat("a", 512)},
		[]string{"", "rds!db-1", "a b", strings.Repeat("a", 513)},
	},
	"log group": {
		validation.LogGroup,
		[]string{"/aws/rds/instance/a/postgresql", "a#b"},
		[]string{"", "a b", "a:b", strings.Repeat("a", 513)},
	},
	"subnet group": {
		validation.DBSubnetGroup,
		[]string{"a b.c_d-1", strings.Repeat("a", 255)},
		[]string{"", "A", "a/b", strings.Repeat("a", 256)},
	},
	"role name":   {validation.RoleName, []string{"a+b=c,d.e@f-g_h"}, []string{"", "a/b", strings.Repeat("a", 65)}},
	"policy name": {validation.PolicyName, []string{"read"}, []string{"a/b", strings.Repeat("a", 129)}},
	"role path":   {validation.RolePath, []string{"/", "/a/b/"}, []string{"", "a", "/a", "a/"}},
	"key": {
		validation.KeyArn,
		[]string{"arn:aws:kms:eu-central-1:111122223333:key/a-1"},
		[]string{"alias/a", "a-1"},
	},
	"policy": {
		validation.PolicyArn,
		[]string{"arn:aws:iam::aws:policy/a/B"},
		[]string{"arn:aws:iam::aws:role/a"},
	},
	"role": {
		validation.RoleArn,
		[]string{"arn:aws:iam::111122223333:role/a/b"},
		[]string{"arn:aws:iam::aws:role/a"},
	},
	"topic": {
		validation.TopicArn,
		[]string{"arn:aws:sns:eu-central-1:111122223333:a"},
		[]string{"arn:aws:sns:eu-central-1:111122223333:a.fifo"},
	},
	"cluster": {validation.ClusterName, []string{"main_1"}, []string{"", "-a", "a b"}},
	"db identifier": {
		validation.DBIdentifier,
		[]string{"a", "myshop-prod"},
		[]string{"", "1a", "A", "a--b", "a-", strings.Repeat("a", 64), strings.Repeat("a-", 32) + "a"},
	},
	"resource id": {validation.DBResourceID, []string{"db-ABC", "prx-0a"}, []string{"db-", "prx-0/*", "i-1"}},
	"secret": {
		validation.SecretArn,
		[]string{"arn:aws:secretsmanager:eu-central-1:111122223333:secret:rds!db-1-a1B2c3"},
		[]string{"arn:aws:secretsmanager:eu-central-1:111122223333:secret:a", "a-a1B2c3"},
	},
	"sql name": {
		validation.SQLName,
		[]string{"_a", "MyShop1"},
		[]string{"", "1a", "a-b", `a"b`, strings.Repeat("a", 64)},
	},
	"lower sql name": {validation.LowerSQLName, []string{"_a", "a1"}, []string{"A", "1a"}},
	"iam user":       {validation.DatabaseUser, []string{"a$b"}, []string{"*", "a/b"}},
	"parameter":      {validation.Parameter, []string{"rds.force_ssl"}, []string{"Work_mem", "a b", "1"}},
	"startup":        {validation.StartupParameter, []string{"extra_float_digits"}, []string{"", "a b", "a,b"}},
	"pool login":     {validation.PoolLogin, []string{"a-b_c"}, []string{"", "-a", "1a", "A"}},
	"hostname":       {validation.Hostname, []string{"a.example", "10.0.0.1"}, []string{"", ".a", "a_b", "a b", "a'"}},
	"scheme":         {validation.Scheme, []string{"rediss", "a+b"}, []string{"", "1a", "a:"}},
	"endpoint":       {validation.Endpoint, []string{"http://127.0.0.1:1"}, []string{"", "ftp://a", "http://a/b"}},
}

func TestEachFormTakesWhatItsOwnerTakes(t *testing.T) {
	t.Parallel()
	for name, test := range forms {
		for _, text := range test.good {
			if !test.form.Matches(text) {
				t.Errorf("%s: refuses %q", name, text)
			}
		}
		// A line break at the end is no part of any form: regexp's $ alone would let it pass in other dialects.
		for _, text := range append(test.refused, test.good[0]+"\n", test.good[len(test.good)-1]+"\x00") {
			if test.form.Matches(text) {
				t.Errorf("%s: takes %q", name, text)
			}
		}
		if !strings.HasPrefix(test.form.Rule, "want ") {
			t.Errorf("%s: the rule %q does not say what is wanted", name, test.form.Rule)
		}
	}
}

func TestASecretsRegionIsInItsArn(t *testing.T) {
	t.Parallel()
	found := validation.SecretArn.Submatches("arn:aws:secretsmanager:eu-central-1:111122223333:secret:a-a1B2c3")
	if len(found) != 2 || found[1] != "eu-central-1" {
		t.Errorf("found %q", found)
	}
	if found := validation.SecretArn.Submatches("a"); found != nil {
		t.Errorf("found %q", found)
	}
}

func TestHostsFilesAndRetentions(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{"a.example": true, "::1": true, "10.0.0.1": true, "a b": false, "": false} {
		if validation.IsHost(text) != want {
			t.Errorf("IsHost(%q) is %t", text, !want)
		}
	}
	for text, want := range map[string]bool{"/a/b": true, "/a": false, "a/b": false, "/a/../b/c": false, "": false} {
		if validation.IsMountedFile(text) != want {
			t.Errorf("IsMountedFile(%q) is %t", text, !want)
		}
	}
	if !validation.IsLogRetention(365) || validation.IsLogRetention(2) {
		t.Error("CloudWatch Logs keeps groups for 365 days, and not for 2")
	}
}
