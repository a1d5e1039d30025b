package iam_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"dbtier/localcloud/internal/aws/iam"
)

func TestMatchTakesStarForAnyRunAndQuestionMarkForOneCharacter(t *testing.T) {
	for _, c := range []struct {
		pattern, s string
		want       bool
	}{
		{"", "", true},
		{"", "a", false},
		{"*", "", true},
		{"*", "anything", true},
		{"?", "", false},
		{"?", "a", true},
		{"?", "ä", true},
		{"a*c", "abbbc", true},
		{"a*c", "ac", true},
		{"a*c", "acb", false},
		{"a*b*c", "axxbyybzzc", true},
		{"rds!db-*-??????", "rds!db-033d7456-2c96-xmJRDx", true},
		{"rds!db-*-??????", "rds!db-033d7456", false},
		{"Get*", "get", false},
		{"a**b", "ab", true},
		{"*a*a*a*a*b", strings.Repeat("a", 2000), false},
	} {
		assert.Equal(t, c.want, iam.Match(c.pattern, c.s), "%s ~ %s", c.pattern, c.s)
	}
}

func TestAWildcardOfArnLikeStaysInItsSegment(t *testing.T) {
	const secret = "arn:aws:secretsmanager:ap-northeast-2:111122223333:secret:rds!db-1-abcdef"
	for _, c := range []struct {
		pattern, arn string
		want         bool
	}{
		{"*", secret, true},
		{"*", "*", true},
		{secret, secret, true},
		{"arn:aws:secretsmanager:*:*:secret:rds!db-*", secret, true},
		{"arn:aws:secretsmanager:*:secret:rds!db-*", secret, false},
		{"arn:aws:*:secret:x", secret, false},
		{"arn:aws:secretsmanager:ap-northeast-2:111122223333:*", secret, true},
		{"arn:aws:secretsmanager:ap-northeast-2:111122223333:secret:team-b/*", secret, false},
		{"arn:aws:secretsmanager:us-*:111122223333:secret:*", secret, false},
		{
			"arn:aws:logs:*:*:log-group:RDS*:log-stream:*",
			"arn:aws:logs:eu-west-1:1:log-group:RDSOSMetrics:log-stream:db-1", true,
		},
		{"arn:aws:iam::1:role/*", "arn:aws:iam::1:role/path/name", true},
		{"arn:aws:iam::1:role/x", "not an arn", false},
	} {
		assert.Equal(t, c.want, iam.MatchARN(c.pattern, c.arn), "%s ~ %s", c.pattern, c.arn)
	}
}

func TestAStarThatEndsASegmentOfAResourceCrossesColons(t *testing.T) {
	const secret = "arn:aws:secretsmanager:ap-northeast-2:111122223333:secret:rds!db-1-abcdef"
	for _, c := range []struct {
		pattern, arn string
		want         bool
	}{
		{"*", secret, true},
		{secret, secret, true},
		{"arn:aws:secretsmanager:*:secret:rds!db-*", secret, true},
		{"arn:aws:secretsmanager:ap-*:secret:rds!db-*", secret, true},
		{"arn:aws:secretsmanager:*:111122223333:secret:*", secret, true},
		{"arn:aws:secretsmanager:*", secret, true},
		{"arn:aws:secretsmanager:*2:secret:rds!db-*", secret, false},
		{"arn:aws:secretsmanager:ap-*-2:111122223333:secret:*", secret, true},
		{"arn:aws:secretsmanager:a*3:secret:rds!db-*", secret, false},
		{"arn:aws:secretsmanager:ap-northeast-2?111122223333:secret:*", secret, false},
		{"arn:aws:secretsmanager:ap-northeast-?:111122223333:secret:*", secret, true},
		{"arn:aws:secretsmanager:*:*:secret:rds!db-*-??????", secret, true},
		{"arn:aws:secretsmanager:ap-northeast-2:111122223333:*abcdef", secret, true},
		{"arn:aws:secretsmanager:us-*:111122223333:secret:*", secret, false},
		{"arn:aws:secretsmanager:*:111122223333:secret:team-b/*", secret, false},
		{"arn:aws:iam::*:role/x", "arn:aws:iam::111122223333:role/x", true},
		{"arn:aws:iam::*:x", "arn:aws:iam::111122223333:role/x", false},
		{"arn:aws:iam::1:role/x", "not an arn", false},
	} {
		assert.Equal(t, c.want, iam.MatchResource(c.pattern, c.arn), "%s ~ %s", c.pattern, c.arn)
	}
}

// A pattern of ArnLike that matches also matches as a resource, because there its wildcards reach at least as far.
func FuzzMatchResource(f *testing.F) {
	f.Add("arn:aws:iam::*:role/*", "arn:aws:iam::111122223333:role/x")
	f.Add("arn:aws:s*:?:*:x", "arn:aws:sqs:a:b:x")
	f.Fuzz(func(t *testing.T, pattern, arn string) {
		if len(pattern) > 60 || len(arn) > 60 {
			return
		}
		if iam.MatchARN(pattern, arn) {
			assert.True(t, iam.MatchResource(pattern, arn))
		}
		if iam.MatchResource(pattern, arn) {
			assert.True(t, iam.Match(pattern, arn), "no wildcard reaches further than that of a plain text")
		}
	})
}

func FuzzMatch(f *testing.F) {
	for _, s := range [][2]string{{"a*b", "ab"}, {"*", ""}, {"??", "ab"}, {"*a*a*b", "aaaaaaaa"}} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, pattern, s string) {
		if len(pattern) > 60 || len(s) > 60 {
			return
		}
		assert.Equal(t, slowMatch([]rune(pattern), []rune(s)), iam.Match(pattern, s))
	})
}

// slowMatch matches by the definition of the wildcards.
func slowMatch(pattern, s []rune) bool {
	seen := map[[2]int]bool{}
	var match func(p, i int) bool
	match = func(p, i int) bool {
		key := [2]int{p, i}
		if known, ok := seen[key]; ok {
			return known
		}
		var out bool
		switch {
		case p == len(pattern):
			out = i == len(s)
		case pattern[p] == '*':
			out = match(p+1, i) || i < len(s) && match(p, i+1)
		default:
			out = i < len(s) && (pattern[p] == '?' || pattern[p] == s[i]) && match(p+1, i+1)
		}
		seen[key] = out
		return out
	}
	return match(0, 0)
}
