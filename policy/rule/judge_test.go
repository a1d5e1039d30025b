package rule_test

import (
	"testing"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/property"
	"github.com/stretchr/testify/assert"

	"dbtier/policy/rule"
)

const widget = "test:index:Widget"

// atLeast is a rule with one knob.
func atLeast() *rule.Rule {
	return &rule.Rule{
		Name: "widget-size", Fix: "raise size", Types: []string{widget},
		Knobs: []rule.Knob{{Name: "minimum", Default: 3.0}},
		Resource: func(s *rule.Subject) {
			s.Get("size").RequireAtLeast(s.Number("minimum"), 0, "")
		},
		Remedy: func(s *rule.Subject, inputs property.Map) (property.Map, bool) {
			return inputs.Set("size", property.New(s.Number("minimum"))), true
		},
	}
}

func resource(size property.Value) *rule.Resource {
	properties := property.NewMap(map[string]property.Value{"size": size})
	return &rule.Resource{Type: widget, URN: "urn:a", Name: "a", Properties: properties}
}

func TestAMessageDoesNotShowACredential(t *testing.T) {
	t.Parallel()
	r := &rule.Rule{
		Name: "widget-url", Fix: "none", Types: []string{widget},
		Resource: func(s *rule.Subject) { s.Get("url").Fail("is not %s", "redis://a:hunter33@c") },
	}
	widget := resource(property.New(1.0))
	widget.Properties = property.NewMap(map[string]property.Value{"url": property.New("postgres://app:hunter22@db/x")})
	assert.Equal(t, `url: "postgres://app:[secret]@db/x": is not redis://a:[secret]@c`+"\nfix: none",
		r.Judge(rule.Run{}, widget)[0].Message)
}

func TestARuleJudgesAResource(t *testing.T) {
	t.Parallel()
	run := rule.Run{Now: time.Date(2027, time.January, 15, 0, 0, 0, 0, time.UTC)}
	violation := func(message string) []rule.Finding {
		return []rule.Finding{{
			Kind: rule.Violation, URN: "urn:a", Path: "size", Message: message + "\nfix: raise size",
		}}
	}
	assert.Empty(t, atLeast().Judge(run, resource(property.New(3.0))))
	assert.Equal(t, violation("size: 2: want at least 3"), atLeast().Judge(run, resource(property.New(2.0))))
	assert.Equal(t, violation("size: (secret): want at least (secret)"),
		atLeast().Judge(run, resource(property.New(2.0).WithSecret(true))))
	assert.Equal(t, []rule.Finding{{Kind: rule.Unknown, URN: "urn:a", Path: "size"}},
		atLeast().Judge(run, resource(property.New(property.Computed))), "once, although it is read several times")

	other := resource(property.New(2.0))
	other.Type = "test:index:Other"
	assert.Empty(t, atLeast().Judge(run, other), "a type that the rule does not list")

	run.Config = map[string]any{"minimum": 2.0}
	assert.Empty(t, atLeast().Judge(run, resource(property.New(2.0))), "the config changes the knob")

	run.Config = nil
	run.Exceptions = map[string][]rule.Exception{
		"widget-size": {{Resource: "a", Owner: "team", Reason: "test", Expires: run.Now}},
	}
	assert.Equal(t, []rule.Finding{{
		Kind: rule.Excepted, URN: "urn:a", Path: "size",
		Message: "size: 2: want at least 3\nallowed until 2027-01-15 by team: test",
	}}, atLeast().Judge(run, resource(property.New(2.0))))
	run.Now = run.Now.AddDate(0, 0, 1)
	assert.Equal(t,
		violation("size: 2: want at least 3\nthe exception of team for this resource expired on 2027-01-15 (test)"),
		atLeast().Judge(run, resource(property.New(2.0))))
}

func TestAPatchIsJudgedByWhatItSets(t *testing.T) {
	t.Parallel()
	const deployment, patch = "kubernetes:apps/v1:Deployment", "kubernetes:apps/v1:DeploymentPatch"
	r := &rule.Rule{
		Name: "replicas", Fix: "a", Types: []string{deployment},
		Resource: func(s *rule.Subject) { s.Get("spec", "replicas").RequireAtLeast(2, 1, "") },
	}
	judge := func(kind string, spec map[string]property.Value) []rule.Finding {
		return r.Judge(rule.Run{}, &rule.Resource{
			Type: kind, Properties: property.NewMap(map[string]property.Value{"spec": property.New(spec)}),
		})
	}
	assert.Len(t, judge(deployment, nil), 1)
	assert.Len(t, judge("kubernetes:extensions/v1beta1:Deployment", nil), 1, "an older version of the API")
	assert.Empty(t, judge(patch, nil), "the object has the value")
	one := map[string]property.Value{"replicas": property.New(1.0)}
	assert.Len(t, judge(patch, one), 1)
	unknown := map[string]property.Value{"replicas": property.New(property.Computed)}
	assert.Equal(t, []rule.Finding{{Kind: rule.Unknown, Path: "spec.replicas"}}, judge(patch, unknown))
}

func TestARuleRemediatesWhatViolatesIt(t *testing.T) {
	t.Parallel()
	inputs := property.NewMap(map[string]property.Value{"size": property.New(2.0)})
	fixed, changed := atLeast().Remediate(rule.Run{}, resource(property.New(2.0)), inputs)
	assert.True(t, changed)
	assert.Equal(t, property.New(3.0), fixed.Get("size"))
	for _, size := range []property.Value{property.New(3.0), property.New(property.Computed)} {
		_, changed = atLeast().Remediate(rule.Run{}, resource(size), inputs)
		assert.False(t, changed)
	}
}

func TestAReaderIsOKIfAllValuesAreKnown(t *testing.T) {
	t.Parallel()
	judge := func(b property.Value) (ok bool, findings []rule.Finding) {
		r := &rule.Rule{Types: []string{widget}, Resource: func(s *rule.Subject) {
			var read rule.Reader
			read.Text(s.Get("a"), "")
			read.Number(s.Get("b", "c"), 1)
			ok = read.OK()
		}}
		properties := property.NewMap(map[string]property.Value{"b": b})
		findings = r.Judge(rule.Run{}, &rule.Resource{Type: widget, Properties: properties})
		return ok, findings
	}
	ok, findings := judge(property.Value{})
	assert.True(t, ok, "missing values are known")
	assert.Empty(t, findings)
	ok, findings = judge(property.New(property.Computed))
	assert.False(t, ok)
	assert.Equal(t, []rule.Finding{{Kind: rule.Unknown, Path: "b.c"}}, findings)
}
