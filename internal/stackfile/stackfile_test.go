package stackfile_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/internal/stackfile"
)

const file = `# the stack
config:
  dbtier:database:
    instanceClass: db.t4g.micro
    multiAz: false
    events:
      topicArn: arn
  dbtier:pool:
    logins:
      - name: reports
        poolSize: 5
  dbtier:profile: production
`

func TestTheLineOfASettingIsThatOfItsKeyOrTheNearestAbove(t *testing.T) {
	t.Parallel()
	for setting, want := range map[string]int{
		"database.multiAz":         5,
		"database.events.topicArn": 7,
		"database.events.other":    6,
		"database.port":            3,
		"pool.logins[].poolSize":   11,
		"profile":                  12,
		"consumer.image":           0,
	} {
		assert.Equal(t, want, stackfile.Line(file, setting), setting)
	}
	for _, text := range []string{"", "config:", "config: [1]", "\t:", "- a"} {
		assert.Zero(t, stackfile.Line(text, "database.multiAz"), text)
	}
}

func FuzzLine(f *testing.F) {
	f.Add(file, "database.multiAz")
	f.Add("config: {dbtier:pool: &a {b: *a}}", "pool.b.b")
	f.Add("config:\r  dbtier:pool: 1", "pool")
	f.Fuzz(func(t *testing.T, text, setting string) {
		if line := stackfile.Line(text, setting); line < 0 || line > strings.Count(text, "\n")+1 {
			t.Errorf("line %d", line)
		}
	})
}

func TestSetChangesOneValueAndNothingElse(t *testing.T) {
	t.Parallel()
	const text = "config:\r\n  dbtier:cloud: aws # the real one\r\n  dbtier:consumer:\r\n" +
		"    image: 'shop''s:1' # by the pipeline\r\n    name: \"sh\\\"op\"\r\n" +
		"  dbtier:pool: {ö: 1, replicas: 2, labels: {a: b c}}\r\n"
	for _, c := range []struct{ setting, value, was, line string }{
		{"cloud", "local", "aws", "  dbtier:cloud: local # the real one"},
		{"consumer.image", "shop@sha256:0a", "'shop''s:1'", "    image: shop@sha256:0a # by the pipeline"},
		{"consumer.name", `"a # b"`, `"sh\"op"`, `    name: "a # b"`},
		{"pool.replicas", "3", "2", "  dbtier:pool: {ö: 1, replicas: 3, labels: {a: b c}}"},
		{"consumer.name", "1.10", `"sh\"op"`, `    name: "1.10"`},
		{"pool.labels.a", "'}'", "b c", "  dbtier:pool: {ö: 1, replicas: 2, labels: {a: '}'}}"},
	} {
		changed, was, err := stackfile.Set(text, c.setting, c.value)
		require.NoError(t, err, c.setting)
		assert.Equal(t, c.was, was)
		assert.Contains(t, changed, c.line+"\r\n")
		back, _, err := stackfile.Set(changed, c.setting, was)
		require.NoError(t, err, c.setting)
		assert.Equal(t, text, back)
	}
}

func TestSetRefusesWhatItCannotPutInPlace(t *testing.T) {
	t.Parallel()
	const text = "config:\n  dbtier:consumer:\n    image: shop:1\n    env: {A: b}\n    text: |\n      two\n      lines\n" +
		"    base: &base x\n    long: one\n      two\n"
	for _, c := range []struct{ setting, value, want string }{
		{"consumer.tag", "2", "consumer has no key tag"},
		{"consumer.image.tag", "2", "is not in the file, where image in line 3 has no keys"},
		{"consumer.env", "2", "is more than one value"},
		{"consumer.text", "2", "is more than one value"},
		{"consumer.base", "2", "is more than one value"},
		{"consumer.image", "a\nb", "want a YAML value on one line"},
		{"consumer.image", "[a", "want a YAML value on one line"},
		{"consumer.image", "a: b", "cannot stand in the place of shop:1"},
		{"consumer.long", "short", "cannot stand"},
	} {
		_, _, err := stackfile.Set(text, c.setting, c.value)
		assert.ErrorContains(t, err, c.want, c.setting)
	}
}

func TestTheLinesOfAMissingSettingCanBePasted(t *testing.T) {
	t.Parallel()
	const text = "config:\n    dbtier:cloud: local\n    dbtier:pool:\n       replicas: 2\n    dbtier:database:\n" +
		"    dbtier:consumer: {image: a}\n"
	for setting, want := range map[string]struct{ after, lines string }{
		"pool.reservePoolSize":      {"dbtier:pool in line 3:\n", "       reservePoolSize: 3"},
		"pool.resources.cpuLimit":   {"dbtier:pool in line 3:\n", "       resources:\n         cpuLimit: \"3\""},
		"database.port":             {"dbtier:database in line 5:\n", "      port: 3"},
		"migration.connections":     {"config in line 1:\n", "    dbtier:migration:\n      connections: 3"},
		"environment":               {"config in line 1:\n", "    dbtier:environment: \"3\""},
		"consumer.env.A":            {"write `env: {A: \"3\"}` into the braces of dbtier:consumer in line 6", ""},
		"consumer.autoscaling.port": {"autoscaling has no key port", ""},
	} {
		_, _, err := stackfile.Set(text, setting, "3")
		require.ErrorContains(t, err, want.after+want.lines, setting)
		if want.lines == "" {
			continue
		}
		lines := strings.SplitAfter(text, "\n")
		_, number, _ := strings.Cut(strings.TrimSuffix(want.after, ":\n"), " in line ")
		at, err := strconv.Atoi(number)
		require.NoError(t, err)
		pasted := strings.Join(lines[:at], "") + want.lines + "\n" + strings.Join(lines[at:], "")
		var missing *stackfile.MissingError
		_, _, err = stackfile.Set(text, setting, "3")
		require.ErrorAs(t, err, &missing)
		assert.Equal(t, pasted, missing.Text)
		_, was, err := stackfile.Set(pasted, setting, "4")
		require.NoError(t, err, pasted)
		assert.Equal(t, "3", strings.Trim(was, `"`))
	}
}

// A comment would stay in the file when the next value replaces this one.
func TestAValueWithACommentIsRefused(t *testing.T) {
	t.Parallel()
	for _, value := range []string{"3 # for now", "{cpuLimit: 1} #", "registry.example/shop:1 #2"} {
		_, _, err := stackfile.Set(file, "database.multiAz", value)
		require.ErrorContains(t, err, "the value ends in a comment", value)
	}
	changed, _, err := stackfile.Set(file, "database.multiAz", "'3 # for now'")
	require.NoError(t, err)
	assert.Contains(t, changed, "multiAz: '3 # for now'")
}

func FuzzSet(f *testing.F) {
	f.Add(file, "database.multiAz", "true")
	f.Add("config: {dbtier:pool: \"a\\\"b\"}", "pool", "'c'")
	f.Add("config:\n dbtier:pool: 0", "pool", "0 ")
	f.Add("config:\n dbtier:pool: 0", "pool", "0 #jn")
	f.Fuzz(func(t *testing.T, text, setting, value string) {
		changed, was, err := stackfile.Set(text, setting, value)
		if err != nil {
			return
		}
		if back, _, err := stackfile.Set(changed, setting, was); err == nil && back != text {
			t.Errorf("%q: %q set to %q and back to %q: %q", text, setting, value, was, back)
		}
	})
}
