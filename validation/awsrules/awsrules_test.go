package awsrules_test

import (
	"fmt"
	"strings"
	"testing"

	"dbtier/validation"
	"dbtier/validation/awsrules"
)

var builtIn = map[string]string{"service": "a", "environment": "b", "managed-by": "c"}

func TestTagsThatAServiceOfAWSRefuses(t *testing.T) {
	t.Parallel()
	many := map[string]string{}
	for i := range 48 {
		many[fmt.Sprint("tag", i)] = ""
	}
	for reason, tags := range map[string]map[string]string{
		"has no key":                  {"": "a"},
		"has a key of 129 characters": {strings.Repeat("ä", 129): ""},
		"has a key that RDS and IAM refuse: want letters":                                          {"R&D": ""},
		"has a value that RDS and IAM refuse: want":                                                {"team": "a,b"},
		"has a value of 257 characters":                                                            {"team": strings.Repeat("a", 257)},
		"has a key that begins with aws:":                                                          {"AWS:team": ""},
		"has a key that begins with rds:":                                                          {"rds:team": ""},
		"has a value that begins with aws:":                                                        {"team": "aws:a"},
		"is the key of a tag that every resource has (service, compared without case)":             {"Service": "x"},
		"is the key of a tag that every resource has (managed-by":                                  {"managed-by": "x"},
		"differs from Team by case only":                                                           {"Team": "a", "team": "b"},
		"are 51 with those of the tier (environment, managed-by, service): AWS accepts at most 50": many,
	} {
		faults := awsrules.CheckTags(tags, builtIn)
		if len(faults) != 1 || !strings.HasPrefix(faults[0].Reason, reason) {
			t.Errorf("%.60q: found %q, want %q", fmt.Sprint(tags), faults, reason)
		}
	}
	delete(many, "tag0")
	for _, tags := range []map[string]string{
		nil, many, {"Kostenstelle 4": "ä ö/ü_.:=+-@"}, {"awsteam": "aws"}, {strings.Repeat("ä", 128): strings.Repeat("ö", 256)},
	} {
		if faults := awsrules.CheckTags(tags, builtIn); len(faults) > 0 {
			t.Errorf("%.60q: %q", fmt.Sprint(tags), faults)
		}
	}
}

// No set of tags that passes has two keys that are equal without case, whatever the alphabet.
func FuzzTagsThatPassAreDistinctWithoutCase(f *testing.F) {
	f.Add("Team", "team", "a")
	f.Add("Service", "x", "a&b")
	f.Fuzz(func(t *testing.T, first, second, value string) {
		tags := map[string]string{first: value, second: value}
		if len(awsrules.CheckTags(tags, builtIn)) > 0 {
			return
		}
		keys := map[string]bool{}
		for _, set := range []map[string]string{tags, builtIn} {
			for key := range set {
				if keys[strings.ToLower(key)] {
					t.Errorf("%q passes", tags)
				}
				keys[strings.ToLower(key)] = true
			}
		}
		if strings.ContainsAny(first+second+value, "&,#'\"<>\x00") {
			t.Errorf("%q passes", tags)
		}
	})
}

func TestEachRegionHasItsPartitionAndTheFormOfRegions(t *testing.T) {
	t.Parallel()
	for region, want := range map[string]string{
		"eu-central-1": "aws", "cn-north-1": "aws-cn", "us-gov-west-1": "aws-us-gov",
	} {
		if got, known := awsrules.Partition(region); !known || got != want {
			t.Errorf("%s: %s, %t", region, got, known)
		}
	}
	if _, known := awsrules.Partition("eu-centrl-1"); known {
		t.Error("eu-centrl-1 is no region")
	}
	for _, region := range awsrules.Regions() {
		if !validation.Region.Matches(region) {
			t.Errorf("%s does not have the form of a region", region)
		}
	}
}

func TestARNsThatAreElsewhere(t *testing.T) {
	t.Parallel()
	here := awsrules.Place{Partition: "aws", Region: "eu-west-1", Account: "111122223333"}
	for arn, want := range map[string]string{
		"arn:aws:kms:eu-west-1:111122223333:key/a":     "",
		"arn:aws:iam::111122223333:role/a:b":           "",
		"arn:aws:iam::aws:policy/a":                    "",
		"a":                                            "",
		"arn:aws-cn:kms:eu-west-1:111122223333:key/a":  "is in the partition aws-cn, and the stack is in aws",
		"arn:aws:kms:eu-west-2:111122223333:key/a":     "is in the region eu-west-2, and the stack is in eu-west-1",
		"arn:aws:iam::444455556666:role/a":             "is of the account 444455556666, and the stack is in 111122223333",
		"arn:aws-us-gov:iam::444455556666:role/a":      "is in the partition aws-us-gov, and the stack is in aws",
		"arn:aws:kms:eu-west-2:444455556666:key/a/b:c": "is in the region eu-west-2, and the stack is in eu-west-1",
	} {
		if got := here.Outside(arn); got != want {
			t.Errorf("%s: %q, want %q", arn, got, want)
		}
	}
	if got := (awsrules.Place{Partition: "aws"}).Outside("arn:aws:kms:x:1:key/a"); got != "" {
		t.Errorf("an empty field is compared: %s", got)
	}
	if region, eks := awsrules.IssuerRegion("oidc.eks.eu-west-1.amazonaws.com/id/A"); !eks || region != "eu-west-1" {
		t.Errorf("%s, %t", region, eks)
	}
	if _, eks := awsrules.IssuerRegion("oidc.localcloud.internal/id/local"); eks {
		t.Error("not EKS")
	}
}
