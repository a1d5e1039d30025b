package driver

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"dbtier/internal/drill"
	"dbtier/internal/pulumicli"
)

// driverPage is the page that describes what scripts depend on.
var driverPage = filepath.Join("..", "..", "docs", "driver.md")

// tableRow is a row of the table of JSON fields: its fields, its commands, and the words in backquotes of its meaning.
type tableRow struct{ fields, commands, words []string }

// fieldTable reads the table of JSON fields from docs/driver.md.
func fieldTable(t *testing.T) []tableRow {
	t.Helper()
	text, err := os.ReadFile(driverPage)
	require.NoError(t, err)
	_, table, found := strings.Cut(string(text), "| field | commands | meaning |\n|---|---|---|\n")
	require.True(t, found)
	var rows []tableRow
	for line := range strings.Lines(table) {
		if !strings.HasPrefix(line, "|") {
			break
		}
		var cells [][]string
		for _, cell := range strings.Split(strings.Trim(line, "|\n"), "|") {
			var words []string
			for _, found := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(cell, -1) {
				words = append(words, found[1])
			}
			cells = append(cells, words)
		}
		require.Len(t, cells, 3, line)
		rows = append(rows, tableRow{cells[0], cells[1], cells[2]})
	}
	return rows
}

// jsonFields returns the fields of a struct in JSON with their types, those of embedded structs among them.
func jsonFields(of reflect.Type) map[string]reflect.Type {
	for of.Kind() == reflect.Pointer || of.Kind() == reflect.Slice {
		of = of.Elem()
	}
	fields := map[string]reflect.Type{}
	if of.Kind() != reflect.Struct || of == reflect.TypeFor[time.Time]() {
		return fields
	}
	for i := range of.NumField() {
		if name, _, _ := strings.Cut(of.Field(i).Tag.Get("json"), ","); name != "" && name != "-" {
			fields[name] = of.Field(i).Type
		}
	}
	return fields
}

// values are words of the table that are values of fields.
var values = []string{
	schema, "create", "update", "replace", "delete", "same", "advisory", "mandatory", "[secret]", "ok", "warning", "fault",
	"--offline", "--changed", "dbtier", "pulumi", "go",
}

func TestTheTableOfJSONFieldsIsThatOfTheTypes(t *testing.T) {
	table := fieldTable(t)
	b := newBench(t)
	top := jsonFields(reflect.TypeFor[report]())
	documented := map[string]bool{}
	for _, row := range table {
		inner := map[string]bool{}
		for _, field := range row.fields {
			documented[field] = true
			require.Contains(t, top, field, "docs/driver.md: no such field")
			// The object of a stack is the report again.
			if field == "stacks" {
				continue
			}
			for name, of := range jsonFields(top[field]) {
				inner[name] = true
				for name := range jsonFields(of) {
					inner[name] = true
				}
			}
		}
		for name := range inner {
			assert.Contains(t, row.words, name, "docs/driver.md: a field of %v", row.fields)
		}
		for _, word := range row.words {
			assert.True(t, inner[word] || slices.Contains(values, word), "docs/driver.md: %v has no field %s", row.fields,
				word)
		}
		for _, command := range row.commands {
			found, _, err := b.root().Find(strings.Fields(command))
			require.NoError(t, err, command)
			assert.Equal(t, "dbtier "+command, found.CommandPath())
		}
	}
	for name := range top {
		assert.True(t, documented[name], "field %s is not in docs/driver.md", name)
	}
}

func TestEveryExitCodeIsDocumented(t *testing.T) {
	text, err := os.ReadFile(driverPage)
	require.NoError(t, err)
	for _, code := range severity {
		assert.Regexp(t, `(?m)^\| `+strconv.Itoa(code)+` \|`, string(text), "exit code %d", code)
	}
}

// understood tells why a command line is not one that dbtier takes.
func understood(root *cobra.Command, words []string) error {
	cmd, rest, err := root.Find(words)
	if err != nil {
		return err
	}
	if cmd.DisableFlagParsing {
		return nil
	}
	// Flags keep their values from one line to the next.
	cmd.Flags().VisitAll(func(f *pflag.Flag) { f.Changed = false })
	if err := cmd.ParseFlags(rest); err != nil {
		return err
	}
	return cmd.ValidateArgs(cmd.Flags().Args())
}

// commandLines are the words of each call of dbtier in a text: whole lines, in shells' pipes and substitutions, and in
// code spans.
func commandLines(text string) [][]string {
	text = strings.ReplaceAll(text, "\\\n", " ")
	text = regexp.MustCompile(`<!--.*?-->`).ReplaceAllString(text, "")
	text = regexp.MustCompile(`<([a-z]+)>`).ReplaceAllString(text, "$1")
	var lines [][]string
	for _, found := range regexp.MustCompile(
		"(?m)(?:^|[\\s`(\"|&;])(?:bin/|\\./)?dbtier ([^`|;&\n<>)]*)",
	).FindAllStringSubmatch(text, -1) {
		line, _, _ := strings.Cut(found[1], " #")
		if words := words(line); len(words) > 0 {
			lines = append(lines, words)
		}
	}
	return lines
}

// words splits a line as a shell does, quotes included.
func words(line string) []string {
	var out []string
	for _, found := range regexp.MustCompile(`(?:'[^']*'|"[^"]*"|\$\{\{[^}]*\}\}|[^\s'"])+`).FindAllString(line, -1) {
		out = append(out, strings.NewReplacer(`'`, "", `"`, "").Replace(found))
	}
	return out
}

func TestEveryExampleOfTheHelpIsUnderstood(t *testing.T) {
	b := newBench(t)
	checked := 0
	var visit func(cmd *cobra.Command)
	visit = func(cmd *cobra.Command) {
		for line := range strings.Lines(cmd.Example) {
			for _, found := range commandLines(line) {
				checked++
				if err := understood(b.root(), found); err != nil {
					t.Errorf("%s: dbtier %s: %v", cmd.CommandPath(), strings.Join(found, " "), err)
				}
			}
		}
		for _, child := range cmd.Commands() {
			visit(child)
		}
	}
	visit(b.root())
	assert.Greater(t, checked, 40)
}

func TestEveryCommandInPipelinesAndDocumentsIsUnderstood(t *testing.T) {
	root, err := filepath.Abs(filepath.Join("..", ".."))
	require.NoError(t, err)
	var files []string
	for _, pattern := range []string{
		"*.md", "docs/driver.md", "docs/getting-started.md", "docs/*/*.md", "examples/*/README.md",
		"examples/ci/*/*.yml",
	} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		require.NoError(t, err)
		files = append(files, found...)
	}
	b := newBench(t)
	checked := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, found := range commandLines(string(text)) {
			// In prose, dbtier is a name; a command begins with one that there is.
			if cmd, _, err := b.root().Find(found[:1]); err != nil || cmd.Name() != found[0] {
				continue
			}
			checked++
			if err := understood(b.root(), found); err != nil {
				t.Errorf("%s: dbtier %s: %v", file, strings.Join(found, " "), err)
			}
		}
	}
	assert.Greater(t, checked, 30)
}

func TestManualPagesAreWrittenForEveryCommand(t *testing.T) {
	b := newBench(t)
	dir := t.TempDir()
	require.Zero(t, b.run("man", dir), b.stderr.String())
	page, err := os.ReadFile(filepath.Join(dir, "dbtier-preview.1"))
	require.NoError(t, err)
	for _, want := range []string{
		`.TH "DBTIER-PREVIEW" "1"`, ".SH EXAMPLE", "--detailed-exitcode", "dbtier(1)", "Pulumi.<stack>.yaml",
	} {
		assert.Contains(t, string(page), want)
	}
	assert.FileExists(t, filepath.Join(dir, "dbtier-local-start.1"))
	assert.Empty(t, b.stderr.String(), "no text is lost as a tag")
}

// What a pipeline must not get wrong: short-lived credentials only, and no more rights than it says.
func TestPipelinesGetTheirCredentialsByOIDC(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("..", "..", "examples", "ci", "*", "*.yml"))
	require.NoError(t, err)
	require.Len(t, files, 5)
	files = append(files, filepath.Join("..", "..", ".github", "workflows", "ci.yml"))
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		assert.NotRegexp(t, `AWS_ACCESS_KEY_ID|AWS_SECRET_ACCESS_KEY|PULUMI_CONFIG_PASSPHRASE|secrets\.`, string(text),
			file)
		var pipeline struct {
			Permissions map[string]string
			Jobs        map[string]struct {
				Permissions map[string]string
				Timeout     int `yaml:"timeout-minutes"`
				Steps       []struct {
					Uses, Run string
					With      map[string]any
				}
			}
		}
		require.NoError(t, yaml.Unmarshal(text, &pipeline), file)
		if strings.Contains(file, "gitlab") {
			assert.Contains(t, string(text), "id_tokens:")
			assert.Contains(t, string(text), "AWS_WEB_IDENTITY_TOKEN_FILE")
			continue
		}
		assert.NotNil(t, pipeline.Permissions, "%s: what no job asks for is not granted", file)
		assert.Empty(t, pipeline.Permissions, file)
		require.NotEmpty(t, pipeline.Jobs, file)
		for name, job := range pipeline.Jobs {
			if job.Permissions["contents"] != "read" {
				// Who can write to the repository has no credentials of AWS.
				assert.Equal(t, "propose", name, file)
				assert.NotContains(t, job.Permissions, "id-token", "%s: %s", file, name)
			}
			assert.Positive(t, job.Timeout, "%s: %s", file, name)
			for _, step := range job.Steps {
				if strings.HasPrefix(step.Uses, "aws-actions/") {
					assert.Equal(t, "write", job.Permissions["id-token"], "%s: %s", file, name)
					assert.Contains(t, step.With, "role-to-assume")
				}
				if strings.HasPrefix(step.Uses, "pulumi/actions") {
					assert.Equal(t, pulumicli.Version, step.With["pulumi-version"], "%s: %s", file, name)
				}
				assert.NotContains(t, step.Run, "${{", "%s: %s: an expression in a script is an injection", file, name)
			}
		}
	}
}

// A project of its own has neither the documents of the checkout nor its examples and its Makefile.
func TestNoMessageNamesAFileOfTheCheckout(t *testing.T) {
	ofCheckout := regexp.MustCompile(`\b(docs|examples|tests)/[\w.-]|\b[A-Z]+\.md\b|\bMakefile\b|` +
		`\bbin/(dbtier|localcloud|policy-pack|pulumi)\b|\bmake (build|up|down|test)\b`)
	inCheckout := regexp.MustCompile(`in (the|a) checkout of dbtier`)
	checked := 0
	for _, folder := range []string{"internal", "policy", "config", "components", "budget", "validation"} {
		visit := func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") ||
				strings.Contains(path, "schemagen") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(node ast.Node) bool {
				// A message can be joined of several texts.
				literal, ok := node.(*ast.BasicLit)
				if !ok || literal.Kind != token.STRING {
					return true
				}
				checked++
				if found := ofCheckout.FindString(literal.Value); found != "" && !inCheckout.MatchString(literal.Value) {
					t.Errorf("%s: names %s: %s", path, found, literal.Value)
				}
				return true
			})
			return nil
		}
		require.NoError(t, filepath.WalkDir(filepath.Join("..", "..", folder), visit))
	}
	assert.Greater(t, checked, 1000)
}

func TestTheHowToNamesEveryDrill(t *testing.T) {
	text, err := os.ReadFile("../../docs/how-to/drills.md")
	require.NoError(t, err)
	_, table, found := strings.Cut(string(text), "## Which drill to run")
	require.True(t, found)
	table, _, _ = strings.Cut(table, "\n## ")
	for _, s := range append(drill.Scenarios(), drill.Random(0, nil)) {
		assert.Contains(t, table, "`"+s.Name+"`")
	}
}
