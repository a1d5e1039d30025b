package summary_test

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/internal/guard"
	"dbtier/internal/progress"
	"dbtier/internal/redact"
	"dbtier/internal/summary"
)

func step(op apitype.OpType, resourceType, name string, changed ...string) progress.Step {
	return progress.Step{
		Op: op, Type: resourceType, Name: name,
		URN: "urn:pulumi:prod::dbtier::" + resourceType + "::" + name, Changed: changed,
	}
}

func length(text string) int { return len(utf16.Encode([]rune(text))) }

func prod() summary.Stack {
	replaced := step(apitype.OpReplace, "aws:rds/instance:Instance", "database-instance", "engineVersion")
	replaced.Because = []string{"engineVersion"}
	replaced.Before, replaced.After = map[string]any{"engineVersion": "16"}, map[string]any{"engineVersion": "17"}
	s := summary.Stack{
		Name: "prod", Command: "preview", Outcome: "would change", OK: true, Planning: true, Seconds: 2,
		Changes: map[apitype.OpType]int{
			apitype.OpReplace: 1, apitype.OpCreate: 1, apitype.OpDelete: 1,
			apitype.OpSame: 40,
		},
		Steps: []progress.Step{
			step(apitype.OpSame, "aws:iam/role:Role", "same"), step(apitype.OpCreate, "aws:iam/role:Role", "made"),
			replaced,
			step(apitype.OpDelete, "kubernetes:core/v1:ConfigMap", "gone"),
			step(apitype.OpCreate, "pulumi:providers:aws", "aws"),
		},
		Findings: []progress.Finding{
			{
				Policy: "rotation", Pack: "dbtier", Level: "advisory", Message: "turn | it on",
				URN: "urn:pulumi:prod::dbtier::aws:kms/key:Key::k",
			},
			{Policy: "public", Pack: "dbtier", Level: "mandatory", Message: "keep it private"},
		},
		Connections: 86, ConnectionLimit: 327,
	}
	s.Losses = guard.Losses(s.Steps, nil)
	return s
}

func TestWhatLosesDataComesFirstAndLoud(t *testing.T) {
	text := summary.Markdown([]summary.Stack{prod()}, &redact.Redactor{}, summary.Limit)
	var last int
	for _, want := range []string{
		"## 🚨 dbtier preview of `prod`: would change",
		"1 to create, 1 to replace, 1 to delete, 40 unchanged, 2.0s",
		"> [!CAUTION]\n> **Data would be lost.**",
		"> - aws:rds:Instance `database-instance` is **replaced** by an empty one because of `engineVersion`: the database (`up` needs `--allow-data-loss database-instance`)",
		"**Policies:** 1 mandatory, 1 advisory",
		"| ⛔ mandatory | `public` | the stack | keep it private |",
		"| ⚠️ advisory | `rotation` | aws:kms:Key k | turn \\| it on |",
		"**Connections:** the tier opens at most 86 of the allowed 327 (26 %)",
		"| **delete** | kubernetes:ConfigMap | `gone` |  |",
		"| **replace** | aws:rds:Instance | `database-instance` | `engineVersion` |",
		"| create | aws:iam:Role | `made` |  |",
		"`engineVersion`: `16` → `17`",
	} {
		at := strings.Index(text, want)
		require.GreaterOrEqual(t, at, last, "%q must come after what is before it in:\n%s", want, text)
		last = at
	}
	assert.NotContains(t, text, "same")
	assert.NotContains(t, text, "pulumi:providers", "providers are not shown")
	assert.NotContains(t, text, "Shortened")
}

func TestSeveralStacksHaveOneTableAboveAll(t *testing.T) {
	failed := summary.Stack{
		Name: "dev", Command: "preview", Outcome: "failed",
		Faults: []string{"first line\nsecond `line`"},
	}
	text := summary.Markdown([]summary.Stack{failed, prod()}, &redact.Redactor{}, summary.Limit)
	assert.True(t,
		strings.HasPrefix(text,
			"## dbtier preview of 2 stacks\n\n| | stack | |\n|---|---|---|\n| ❌ | `dev` | failed |\n| 🚨 | `prod` | would change, **1 would lose data** |\n"), text)
	assert.Contains(t, text, "```text\nfirst line\nsecond `line`\n```")
}

func TestDriftIsToldInItsOwnWords(t *testing.T) {
	differs := step(apitype.OpUpdate, "aws:rds/instance:Instance", "database-instance", "backupRetentionPeriod")
	differs.Before, differs.After = map[string]any{"backupRetentionPeriod": 30.0},
		map[string]any{"backupRetentionPeriod": 1.0}
	text := summary.Markdown([]summary.Stack{{
		Name: "prod", Command: summary.Drift, Outcome: "drifted", OK: true, Planning: true,
		Changes: map[apitype.OpType]int{apitype.OpUpdate: 1, apitype.OpDelete: 1},
		Steps: []progress.Step{differs, step(apitype.OpDelete, "kubernetes:external-secrets.io/v1:ExternalSecret",
			"secrets-direct")},
	}}, &redact.Redactor{}, summary.Limit)
	for _, want := range []string{
		"## ⚠️ dbtier drift of `prod`: drifted\n", "| **is gone** | kubernetes:ExternalSecret | `secrets-direct` |",
		"| differs | aws:rds:Instance | `database-instance` |",
		"`backupRetentionPeriod`: `30` → `1`",
	} {
		assert.Contains(t, text, want)
	}
	assert.NotContains(t, text, "to delete")
	assert.NotContains(t, text, "lost", "it is not about to be deleted")
}

func TestWhatADeletionKeepsIsNotShownAsDeleted(t *testing.T) {
	kept := step(apitype.OpDelete, "kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinition", "things")
	kept.Retained = true
	for planning, want := range map[bool][]string{
		true:  {"1 to delete, 1 kept, ", "| keep, remove from the state | kubernetes:CustomResourceDefinition |"},
		false: {"1 deleted, 1 kept, ", "| kept, removed from the state | kubernetes:CustomResourceDefinition |"},
	} {
		text := summary.Markdown([]summary.Stack{{
			Name: "prod", Command: "destroy", Outcome: "done", OK: true, Planning: planning,
			Changes: map[apitype.OpType]int{apitype.OpDelete: 2},
			Steps:   []progress.Step{kept, step(apitype.OpDelete, "aws:kms/key:Key", "key")},
		}}, &redact.Redactor{}, summary.Limit)
		for _, want := range want {
			assert.Contains(t, text, want)
		}
	}
}

// many is a stack with more changes than any summary has room for.
func many(n int) summary.Stack {
	s := prod()
	for i := range n {
		change := step(apitype.OpUpdate, "kubernetes:core/v1:ConfigMap", fmt.Sprintf("config-%05d", i), "data.key")
		change.Before, change.After = map[string]any{"data": map[string]any{"key": strings.Repeat("a", 50)}},
			map[string]any{"data": map[string]any{"key": "😀"}}
		s.Steps = append(s.Steps, change)
	}
	return s
}

func TestWhatDoesNotFitIsLeftOutFromTheEndAndCounted(t *testing.T) {
	text := summary.Markdown([]summary.Stack{many(5000)}, &redact.Redactor{}, summary.Limit)
	assert.LessOrEqual(t, length(text), summary.Limit)
	assert.Greater(t, length(text), summary.Limit*9/10, "the room is used")
	for _, kept := range []string{
		"> [!CAUTION]", "`--allow-data-loss database-instance`", "`public`",
		"**Connections:**", "`config-00000`",
	} {
		assert.Contains(t, text, kept)
	}
	var left, all int
	at := strings.Index(text, "changes are left out here for size._")
	require.Positive(t, at)
	_, err := fmt.Sscanf(text[strings.LastIndex(text[:at], "_"):at], "_%d of %d ", &left, &all)
	require.NoError(t, err)
	assert.Equal(t, 5003, all)
	assert.Equal(t, all-left, strings.Count(text, "\n| update |")+2, "the count is right")
	assert.Contains(t, text, "_Shortened: this summary has no room for all resources with their values._")
	assert.Equal(t, strings.Count(text, "<details>"), strings.Count(text, "</details>"))
}

// Whatever the limit and the number of changes, the summary is never longer than the limit, and it shows every loss
// that it has room for.
func TestNoLimitIsEverExceeded(t *testing.T) {
	stacks := []summary.Stack{
		many(300), many(3),
		{Name: "x", Command: "up", Outcome: "failed", Faults: []string{strings.Repeat("fault ", 5000)}},
	}
	for range 200 {
		stacks[2].Losses = append(stacks[2].Losses, guard.Losses(prod().Steps, nil)...)
	}
	for limit := 400; limit < 70_000; limit = limit*5/4 + 1 {
		text := summary.Markdown(stacks, &redact.Redactor{}, limit)
		assert.LessOrEqual(t, length(text), limit)
		if limit > 5000 {
			assert.Contains(t, text, "Data would be lost", "limit %d", limit)
		}
	}
}

func TestNoTextOfAResourceMakesMarkdownOfItsOwn(t *testing.T) {
	s := prod()
	s.Findings[0].Message = "<img src=x> **bold** @everyone #1 [link](https://x)\n\n## heading"
	s.Steps = append(s.Steps, step(apitype.OpCreate, "aws:iam/role:Role", "a`b|c\n| x |"))
	text := summary.Markdown([]summary.Stack{s}, &redact.Redactor{}, summary.Limit)
	for _, forbidden := range []string{"<img", "**bold**", "@everyone", " #1", "\n## heading", "[link]", "\n| x |"} {
		assert.NotContains(t, text, forbidden)
	}
}

func TestSecretsAreMaskedInEveryPart(t *testing.T) {
	const password = `4k]-%hA|RI*[?j(-(l]{(` + "`"
	var secrets redact.Redactor
	secrets.Add(password)
	s := prod()
	s.Faults, s.Warnings, s.Notes = []string{"logging in with " + password},
		[]string{"postgres://u:" + password + "@db/x"}, []string{password}
	s.Findings[0].Message = "the value " + password
	s.Steps[2].Before = map[string]any{"engineVersion": password}
	s.Steps[2].After = map[string]any{"engineVersion": "[secret]"}
	s.Steps = append(s.Steps, step(apitype.OpCreate, "aws:iam/role:Role", password, password))
	s.Obstacles = []guard.Obstacle{{URN: "urn:pulumi:prod::dbtier::a:b:C::c", Reason: password, Fix: password}}
	text := summary.Markdown([]summary.Stack{s}, &secrets, summary.Limit)
	assert.NotContains(t, text, password)
	for _, part := range []string{"RI*[?j", `RI\*\[?j`, "4k]-%hA"} {
		assert.NotContains(t, text, part, "nor a spelling of Markdown's")
	}
	assert.Contains(t, text, "`[secret]` → `<secret>`")
}

func FuzzSummariesKeepToTheirLimit(f *testing.F) {
	f.Add("name", "a fault\nof two lines", 700, 3)
	f.Fuzz(func(t *testing.T, name, fault string, limit, steps int) {
		if limit < 400 || limit > 100_000 || steps < 0 || steps > 500 {
			return
		}
		s := many(steps)
		s.Name, s.Faults = name, []string{fault}
		assert.LessOrEqual(t, length(summary.Markdown([]summary.Stack{s, s}, &redact.Redactor{}, limit)), limit)
	})
}
