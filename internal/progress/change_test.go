package progress_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"dbtier/internal/progress"
)

func TestChangesShowValuesAndCompareTextsByLine(t *testing.T) {
	t.Parallel()
	ini := "[databases]\nshop = host=db\n[pgbouncer]\ndefault_pool_size = 20\nreserve_pool_size = 5\n" +
		strings.Repeat("; comment\n", 20)
	step := progress.Step{
		Changed: []string{
			`data["pgbouncer.ini"]`, "policy", "size", "gone", "added", "secret", "unknown", "tags",
		},
		Before: map[string]any{
			"data": map[string]any{"pgbouncer.ini": ini}, "size": 20.0, "gone": "x", "secret": "[secret]", "unknown": "a",
			"policy": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject",` +
				`"Resource":"arn:aws:s3:::a-bucket-with-a-long-name/and-a-prefix/*"}]}`,
			"tags": map[string]any{"a": "1"},
		},
		After: map[string]any{
			"data":   map[string]any{"pgbouncer.ini": strings.Replace(ini, "= 20", "= 25", 1)},
			"size":   25.0,
			"added":  map[string]any{"k": []any{"v"}},
			"secret": "[secret]", "unknown": "04da6b54-80e4-46f7-96ec-b56ff0331ba9",
			"policy": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*",` +
				`"Resource":"arn:aws:s3:::a-bucket-with-a-long-name/and-a-prefix/*"}]}`,
			"tags": map[string]any{"a": "2"},
		},
	}
	got := map[string]progress.Change{}
	for _, change := range step.Changes(nil) {
		got[change.Path] = change
	}
	assert.Equal(t, progress.Change{Path: "size", Was: "20", Is: "25"}, got["size"])
	assert.Equal(t, "gone: x → nothing", got["gone"].String())
	assert.Equal(t, `added: nothing → {"k":["v"]}`, got["added"].String())
	assert.Equal(t, `tags: {"a":"1"} → {"a":"2"}`, got["tags"].String())
	assert.Equal(t, progress.Secret, got["secret"].Is)
	assert.Equal(t, progress.Computed, got["unknown"].Is)
	assert.Equal(t, []string{
		"@@ -3,3 +3,3 @@", " [pgbouncer]", "-default_pool_size = 20", "+default_pool_size = 25", " reserve_pool_size = 5",
	}, got[`data["pgbouncer.ini"]`].Diff)
	assert.Contains(t, got["policy"].Diff, `-      "Action": "s3:GetObject",`)
	assert.Contains(t, got["policy"].Diff, `+      "Action": "s3:*",`)
	assert.Less(t, len(got["policy"].Diff), 8, "only what differs is shown")
}

func TestValuesThatMustNotBeShownAreReplaced(t *testing.T) {
	t.Parallel()
	step := progress.Step{
		Changed: []string{"a"}, Before: map[string]any{"a": "hunter2"}, After: map[string]any{"a": "x hunter2 y"},
	}
	hide := func(text string) string { return strings.ReplaceAll(text, "hunter2", "***") }
	assert.Equal(t, []progress.Change{{Path: "a", Was: "***", Is: "x *** y"}}, step.Changes(hide))
	assert.Empty(t, (&progress.Step{Changed: []string{"a"}}).Changes(nil), "a step without states shows its paths only")
}

func TestAPropertyThatStaysTheSameIsNoChange(t *testing.T) {
	t.Parallel()
	annotation := func(value any) map[string]any {
		return map[string]any{
			"size":     value,
			"metadata": map[string]any{"annotations": map[string]any{"pulumi.com/replaceUnready": "true"}},
		}
	}
	step := progress.Step{
		Changed: []string{`metadata.annotations["pulumi.com/replaceUnready"]`, "size"},
		Before:  annotation(1.0), After: annotation(2.0),
	}
	assert.Equal(t, []progress.Change{{Path: "size", Was: "1", Is: "2"}}, step.Changes(nil))
	step.After = step.Before
	assert.Empty(t, step.Changes(nil))
}

// FuzzChanges finds texts that cannot be compared, or whose difference loses a line.
func FuzzChanges(f *testing.F) {
	f.Add("a\nb\n", "a\nc\n")
	f.Add(`{"a":1}`, `{"a":[1,2]}`)
	f.Add("", "x")
	f.Add(strings.Repeat("x", 300), strings.Repeat("x", 301))
	f.Add("a\r\n\x00\xff", "b\u2028")
	f.Fuzz(func(t *testing.T, was, is string) {
		step := progress.Step{
			Changed: []string{"p"}, Before: map[string]any{"p": was}, After: map[string]any{"p": is},
		}
		for _, change := range step.Changes(nil) {
			if strings.ContainsAny(change.String(), "\n") {
				t.Errorf("more than one line: %q", change.String())
			}
			for _, line := range change.Diff {
				if !strings.ContainsAny(line[:1], "+- @\\") {
					t.Errorf("not a line of a difference: %q", line)
				}
			}
		}
	})
}
