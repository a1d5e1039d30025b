package iamdoc_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/policy/internal/iamdoc"
)

func TestADocumentIsReadHoweverItIsWritten(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`{"Statement":[{"Sid":"Read","Effect":"Allow","Principal":{"AWS":["*"]},"Action":["s3:GetObject"],"Resource":["*"],"Condition":{"StringEquals":{"aws:x":["y"]}}}]}`,
		`{"Statement":{"Sid":"Read","Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"*","Condition":{"StringEquals":{"AWS:X":"y"}}}}`,
	} {
		statements, err := iamdoc.Parse(text)
		require.NoError(t, err)
		require.Len(t, statements, 1)
		s := statements[0]
		assert.True(t, s.Principal.Everyone())
		assert.True(t, s.Gives("s3:getobject"))
		assert.False(t, s.Gives("s3:PutObject"))
		assert.True(t, s.Everywhere())
		assert.Equal(t, "statement Read", s.Name)
		values, exact, found := s.Values("aws:X")
		assert.Equal(t, []string{"y"}, values)
		assert.True(t, exact)
		assert.True(t, found)
	}
}

func TestADenyGivesNothingAndNotActionGivesTheRest(t *testing.T) {
	t.Parallel()
	statements, err := iamdoc.Parse(
		`{"Statement":[{"Effect":"Deny","Action":"*","Resource":"*"},{"Effect":"Allow","NotAction":"iam:*","Resource":"*"}]}`,
	)
	require.NoError(t, err)
	assert.False(t, statements[0].Gives("s3:GetObject"))
	assert.True(t, statements[1].Gives("s3:GetObject"))
	assert.False(t, statements[1].Gives("iam:PassRole"))
}

func TestAConditionThatMayBeAbsentIsNotExact(t *testing.T) {
	t.Parallel()
	for _, operator := range []string{"StringLike", "StringEqualsIfExists", "ForAnyValue:StringLike"} {
		statements, err := iamdoc.Parse(`{"Statement":{"Effect":"Allow","Action":"*","Condition":{"` + operator +
			`":{"k":"v"}}}}`)
		require.NoError(t, err)
		_, exact, found := statements[0].Values("k")
		assert.True(t, found, operator)
		assert.False(t, exact, operator)
	}
}

func FuzzMatchIsTheExpressionThatItStandsFor(f *testing.F) {
	f.Add("s3:*Object", "s3:GetObject")
	f.Add("a?c*", "abcd")
	f.Add("**a**b", "xaxb")
	f.Fuzz(func(t *testing.T, pattern, text string) {
		for _, s := range []string{pattern, text} {
			for _, r := range s {
				if r > 127 {
					return
				}
			}
		}
		expression := "(?is)^" + strings.NewReplacer(`\*`, ".*", `\?`, ".").Replace(regexp.QuoteMeta(pattern)) + "$"
		assert.Equal(t, regexp.MustCompile(expression).MatchString(text), iamdoc.Match(pattern, text), "%q %q", pattern,
			text)
	})
}

func FuzzParseDoesNotPanic(f *testing.F) {
	f.Add(`{"Statement":[{"Principal":{"AWS":1},"Action":[1,null]}]}`)
	f.Fuzz(func(_ *testing.T, text string) {
		statements, err := iamdoc.Parse(text)
		if err != nil {
			return
		}
		for _, s := range statements {
			s.Gives("a:b")
			s.Everywhere()
			s.Values("k")
		}
	})
}
