package driver

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"dbtier/internal/project"
	"dbtier/internal/pulumicli"
)

const replaced = `{"resourcePreEvent":{"metadata":{"op":"replace","urn":"urn:pulumi:prod::dbtier::aws:rds/instance:Instance::database-instance","type":"aws:rds/instance:Instance","keys":["dbName"]}}}
{"summaryEvent":{"resourceChanges":{"replace":1}}}
`

// holdsData gives the stack a state with a database in it.
func (b *bench) holdsData(stack string) {
	b.t.Helper()
	file := filepath.Join(b.dir, ".dbtier", "state", ".pulumi", "stacks", "dbtier", stack+".json")
	require.NoError(b.t, os.MkdirAll(filepath.Dir(file), 0o700))
	require.NoError(b.t,
		os.WriteFile(file,
			[]byte(`{"version":3,"checkpoint":{"latest":{"resources":[{"urn":"urn:pulumi:prod::dbtier::aws:rds/instance:Instance::database-instance","type":"aws:rds/instance:Instance","inputs":{}}]}}}`), 0o600))
}

func TestAStackThatHoldsDataIsPreviewedBeforeItIsChanged(t *testing.T) {
	b := newBench(t)
	b.holdsData("prod")
	b.happens(replaced)
	b.says(exitRefused, "add: --allow-data-loss database-instance", "up", "--stack", "prod", "--yes")
	commands, _ := b.engineRuns()
	assert.Equal(t, []string{"preview"}, commands, "nothing was changed")
	require.Zero(t, b.run("up", "--stack", "prod", "--yes", "--allow-data-loss", "database-instance"),
		b.stderr.String())
	commands, _ = b.engineRuns()
	assert.Equal(t, []string{"preview", "preview", "up"}, commands)
	assert.Contains(t, b.stderr.String(),
		"note: allowed: aws:rds:Instance database-instance is replaced by an empty one because of dbName")
}

func TestTheSameUpdateOfTheSameStateIsNotPreviewedAgain(t *testing.T) {
	b := newBench(t)
	require.NoError(t, os.WriteFile(filepath.Join(b.dir, "bundle.pem"), []byte("one"), 0o600))
	file := filepath.Join(b.dir, "Pulumi.prod.yaml")
	config := func(more string) {
		require.NoError(t,
			os.WriteFile(file, []byte("config:\n  dbtier:cloud: aws\n  dbtier:network: {caBundle: bundle.pem}\n"+more),
				0o600))
	}
	config("")
	b.holdsData("prod")
	state := filepath.Join(b.dir, ".dbtier", "state", ".pulumi", "stacks", "dbtier", "prod.json")
	ups := func(args ...string) []string {
		require.NoError(t, os.RemoveAll(b.events+".calls"))
		require.Zero(t, b.run(append([]string{"up", "--stack", "prod", "--yes", "--no-policy"}, args...)...),
			b.stderr.String())
		commands, _ := b.engineRuns()
		return commands
	}
	again := func(why string) {
		t.Helper()
		assert.Equal(t, []string{"preview", "up"}, ups(), why)
		assert.Equal(t, []string{"up"}, ups(), "%s, and once more", why)
	}
	again("the first one")
	config("  dbtier:environment: other\n")
	again("another config")
	require.NoError(t, os.WriteFile(filepath.Join(b.dir, "bundle.pem"), []byte("other"), 0o600))
	again("another file that the config names")
	text, err := os.ReadFile(state)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(state, append(text, '\n'), 0o600))
	again("a state that something else has written")
	require.NoError(t, os.WriteFile(filepath.Join(b.dir, ".dbtier", "locks", "prod.refresh"), nil, 0o600))
	again("a run that was killed")
	for _, flags := range [][]string{{"--config", "environment=x"}, {"--target", "*"}, {"--refresh"}} {
		assert.Equal(t, []string{"preview", "up"}, ups(flags...), "%v", flags)
	}
	again("after an update of another kind")
	config("  dbtier:cluster: {stackReference: {stack: organization/dbtier/cluster}}\n")
	for range 2 {
		assert.Equal(t, []string{"preview", "up"}, ups(), "the outputs of another stack are not in a file")
	}
}

func TestAnAnswerIsJSONAlsoWhenTheCommandFails(t *testing.T) {
	b := newBench(t)
	for code, args := range map[int][]string{
		exitUsage:  {"up", "--json"},
		exitConfig: {"preview", "--stack", "staging", "--json"},
		exitDone:   {"up", "--stack", "prod", "--yes", "--json"},
	} {
		assert.Equal(t, code, b.run(args...))
		answer := b.answer()
		assert.Equal(t, code, answer.ExitCode)
		assert.Equal(t, code == exitDone, answer.OK)
		assert.Equal(t, code != exitDone, len(answer.Faults) == 1, "%v", answer.Faults)
		assert.Equal(t, args[0], answer.Command)
	}
}

func TestARunThatDidNotBeginSaysNothingOfChanges(t *testing.T) {
	b := newBench(t)
	t.Setenv("PULUMI_CONFIG_PASSPHRASE", "")
	for _, command := range []string{"preview", "drift"} {
		assert.Equal(t, exitTrouble, b.run(command, "--stack", "prod", "--json"))
		assert.Nil(t, b.answer().Changed, command)
	}
}

func TestTheGravestCodeOfSeveralStacksIsThatOfAll(t *testing.T) {
	b := newBench(t)
	b.cloudScript(serves)
	// The local cloud is not running, and preview does not start it.
	assert.Equal(t, exitTrouble, b.run("preview", "--stacks", "*", "--detailed-exitcode", "--json"), b.stderr.String())
	answer := b.answer()
	require.Len(t, answer.Stacks, 2)
	for _, one := range answer.Stacks {
		assert.Equal(t, map[string]int{"local": exitTrouble, "prod": exitPending}[one.Stack], one.ExitCode)
	}
	assert.Contains(t, b.stderr.String(), "local | error: the local cloud is not running")
}

func TestInGitHubActionsTheJobsPageGetsTheSummaryToo(t *testing.T) {
	b := newBench(t)
	job, file := filepath.Join(t.TempDir(), "job.md"), filepath.Join(t.TempDir(), "own.md")
	require.NoError(t, os.WriteFile(job, []byte("an earlier step\n"), 0o600))
	t.Setenv(stepSummary, job)
	t.Setenv("DATABASE_PASSWORD", "hu:sh*hush")
	b.happens(`{"diagnosticEvent":{"severity":"error","message":"login with hu:sh*hush"}}` + "\n" + created)
	assert.Equal(t, exitFailed, b.run("preview", "--stack", "prod", "--summary", file))
	own, err := os.ReadFile(file)
	require.NoError(t, err)
	both, err := os.ReadFile(job)
	require.NoError(t, err)
	assert.Equal(t, "an earlier step\n"+string(own)+"\n", string(both))
	assert.Contains(t, string(own), "## ❌ dbtier preview of `prod`: failed")
	assert.Contains(t, string(own), "login with [secret]")
	require.Zero(t, b.run("outputs", "--stack", "prod"), b.stderr.String())
	after, err := os.ReadFile(job)
	require.NoError(t, err)
	assert.Equal(t, string(both), string(after), "a command that only reads writes no summary")
}

func TestThePolicyPackBesideTheDriverIsOnByDefault(t *testing.T) {
	f := func(packs ...string) *stackFlags { return &stackFlags{policyPacks: packs} }
	dir := t.TempDir()
	a := &app{beside: dir}
	packs, note := a.policyPacksOf(f())
	assert.Empty(t, packs)
	assert.Contains(t, note, "--no-policy")
	packs, note = a.policyPacksOf(f("/other"))
	assert.Equal(t, []string{"/other"}, packs)
	assert.Empty(t, note)
	own := filepath.Join(dir, policyPack)
	require.NoError(t, os.WriteFile(own, nil, 0o700))
	packs, _ = a.policyPacksOf(f("/other"))
	assert.Equal(t, []string{own, "/other"}, packs)
	without := f("/other")
	without.noPolicy = true
	packs, note = a.policyPacksOf(without)
	assert.Equal(t, []string{"/other"}, packs)
	assert.Empty(t, note)
}

func TestConfigOfOneRunIsReadAsTheFileIs(t *testing.T) {
	values, err := (&stackFlags{config: []string{
		"pool.replicas=3", "dbtier:environment=staging", "consumer.env={A: b}",
		"database.engineVersion='16'", "consumer.name=", "consumer.env.URL=a=b",
		"consumer.env.N=012", "consumer.env.ON=true", "database.parameters.work_mem.value=65536",
	}}).overrides()
	require.NoError(t, err)
	assert.Equal(t, map[string]any{
		"dbtier:pool.replicas": 3, "dbtier:environment": "staging",
		"dbtier:consumer.env":           map[string]any{"A": "b"},
		"dbtier:database.engineVersion": "16", "dbtier:consumer.name": "", "dbtier:consumer.env.URL": "a=b",
		"dbtier:consumer.env.N": "012", "dbtier:consumer.env.ON": "true",
		"dbtier:database.parameters.work_mem.value": "65536",
	}, values)
	for given, want := range map[string]string{
		"x": "want key=value", "=x": "want key=value",
		"cloud=aws": "only the stack's file can choose", "pool=[": "not valid YAML", "a=1": "there is no such key",
	} {
		_, err := (&stackFlags{config: []string{given}}).overrides()
		require.ErrorContains(t, err, want)
	}
}

func stacksOf(t *testing.T, files map[string]string) []target {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "Pulumi.yaml"), []byte("name: shop\n"), 0o600))
	for name, references := range files {
		text := "config:\n  dbtier:cloud: aws\n"
		if references != "" {
			text += "  dbtier:network: {stackReference: {stack: " + references + "}}\n"
		}
		require.NoError(t, os.WriteFile(filepath.Join(dir, "Pulumi."+name+".yaml"), []byte(text), 0o600))
	}
	p, err := project.Find(dir)
	require.NoError(t, err)
	var targets []target
	for _, name := range p.Stacks() {
		s, err := p.Stack(name)
		require.NoError(t, err)
		targets = append(targets, target{p, s})
	}
	return targets
}

func TestStacksComeAfterThoseThatTheyReferTo(t *testing.T) {
	targets := stacksOf(t, map[string]string{
		"a": "organization/shop/z", "b": "acme/shop/a", "c": "acme/another/z", "d": "z",
		"e": "organization/shop/not-meant-now", "z": "",
	})
	names := func(backwards bool) (order []string, after map[string][]string) {
		nodes, err := inOrder(targets, backwards)
		require.NoError(t, err)
		after = map[string][]string{}
		for _, n := range nodes {
			order = append(order, n.stack.Name)
			after[n.stack.Name] = nil
			for _, before := range n.after {
				after[n.stack.Name] = append(after[n.stack.Name], before.stack.Name)
			}
		}
		return order, after
	}
	order, after := names(false)
	assert.Equal(t, []string{"z", "a", "b", "c", "d", "e"}, order)
	assert.Equal(t, map[string][]string{"z": nil, "a": {"z"}, "b": {"a"}, "c": nil, "d": {"z"}, "e": nil}, after)
	order, _ = names(true)
	assert.Equal(t, "z", order[len(order)-1], "after what refers to it: %v", order)

	_, err := inOrder(stacksOf(t, map[string]string{"a": "organization/shop/b", "b": "organization/shop/a"}), false)
	require.ErrorContains(t, err, "a → b → a")
}

func TestPatternsNameStacks(t *testing.T) {
	p := stacksOf(t, map[string]string{"dev": "", "prod-eu": "", "prod-us": ""})[0].project
	for patterns, want := range map[string][]string{
		"dev": {"dev"}, "prod-*, dev": {"prod-eu", "prod-us", "dev"}, "*": {"dev", "prod-eu", "prod-us"},
		"prod-[e]?,prod-*": {"prod-eu", "prod-us"},
	} {
		names, err := matching(p, patterns)
		require.NoError(t, err)
		assert.Equal(t, want, names, patterns)
	}
	for patterns, want := range map[string]string{
		"staging": "no such stack; this project has dev, prod-eu",
		"[":       "not a pattern", ",,": "names no stack",
	} {
		_, err := matching(p, patterns)
		require.ErrorContains(t, err, want)
	}
}

func TestDoctorNamesTheFixOfEachFinding(t *testing.T) {
	prod, err := os.ReadFile(filepath.Join("..", "..", "Pulumi.prod.yaml"))
	require.NoError(t, err)
	b := newBench(t)
	t.Setenv("PATH", t.TempDir())
	t.Setenv("PULUMI_CONFIG_PASSPHRASE", "")
	file := filepath.Join(b.dir, "Pulumi.prod.yaml")
	require.NoError(t,
		os.WriteFile(file, []byte("config:\n  dbtier:cloud: aws\n  dbtier:aws: {accountId: '123456789012'}\n"), 0o600))
	assert.Equal(t, exitTrouble, b.run("doctor", "--stack", "prod", "--json"))
	levels := map[string]string{}
	for _, f := range b.answer().Findings {
		levels[f.Name] = f.Level
		if f.Level != levelOK {
			assert.NotEmpty(t, f.Fix, f.Name)
		}
	}
	assert.Equal(t, levelFault, levels["secrets"])
	assert.Equal(t, levelFault, levels["AWS credentials"])
	assert.Equal(t, levelFault, levels["config"])
	assert.Equal(t, levelOK, levels["Pulumi CLI"])
	assert.Equal(t, levelWarning, levels["backend"], "nobody chose the folder")
	assert.Equal(t, levelWarning, levels["cluster"])
	assert.NoDirExists(t, filepath.Join(b.dir, ".dbtier"), "it only reads")

	// A valid stack from here on.
	require.NoError(t, os.WriteFile(file, prod, 0o600))
	// From here on AWS and the cluster answer.
	tools := t.TempDir()
	t.Setenv("PATH", tools+":/bin:/usr/bin")
	t.Setenv("PULUMI_CONFIG_PASSPHRASE", "x")
	tool := func(name, script string) {
		require.NoError(t, os.WriteFile(filepath.Join(tools, name), []byte("#!/bin/sh\n"+script+"\n"), 0o700))
	}
	tool("aws", `echo '{"Account":"999999999999","Arn":"arn:aws:iam::999999999999:role/x"}'`)
	tool("kubectl", `case "$*" in
*version*json*) echo '{"serverVersion":{"gitVersion":"v1.34.4"}}' ;;
*api-versions*) echo external-secrets.io/v1beta1; echo v1 ;;
*can-i*jobs*) echo no; exit 1 ;;
*) echo yes ;;
esac`)
	assert.Equal(t, exitTrouble, b.run("doctor", "--stack", "prod"))
	for _, want := range []string{
		"✗ AWS credentials    arn:aws:iam::999999999999:role/x is in account 999999999999, but the stack is in " +
			"123456789012",
		"✓ cluster            Kubernetes v1.34.4",
		"✗ cluster rights     in namespace myshop this user cannot: create jobs.batch",
		"! operator           the cluster does not serve external-secrets.io/v1 yet",
		"Pulumi CLI         " + pulumicli.Version,
	} {
		assert.Contains(t, b.stdout.String(), want)
	}
	tool("aws", `echo '{"Account":"123456789012","Arn":"arn:aws:iam::123456789012:role/x"}'`)
	tool("kubectl", `case "$*" in
*version*json*) echo '{"serverVersion":{"gitVersion":"v1.34.4"}}' ;;
*api-versions*) echo external-secrets.io/v1 ;;
*) echo yes ;;
esac`)
	require.Zero(t, b.run("doctor", "--stack", "prod"), b.stdout.String())
	assert.True(t, strings.HasSuffix(b.stdout.String(), "stack prod: ready for a run\n"))
}

func TestDoctorFindsFaultsOfTheConfigWithoutAnEngine(t *testing.T) {
	valid, err := os.ReadFile(filepath.Join("..", "..", "Pulumi.prod.yaml"))
	require.NoError(t, err)
	b := newBench(t)
	t.Setenv("PATH", t.TempDir())
	config := func(oldnew ...string) []finding {
		text := strings.NewReplacer(oldnew...).Replace(string(valid))
		require.NoError(t, os.WriteFile(filepath.Join(b.dir, "Pulumi.prod.yaml"), []byte(text), 0o600))
		b.run("doctor", "--stack", "prod", "--json")
		var found []finding
		for _, f := range b.answer().Findings {
			if f.Name == "config" {
				found = append(found, f)
			}
		}
		return found
	}
	assert.Equal(t, []finding{{Name: "config", Level: levelOK, Found: "Pulumi.prod.yaml: the stack is on aws"}},
		config())

	faulty := config("region: ap-northeast-2", "regoin: x", `accountId: "123456789012"`, "accountId: x")
	require.GreaterOrEqual(t, len(faulty), 3, "%v", faulty)
	var all strings.Builder
	for _, f := range faulty {
		assert.Equal(t, levelFault, f.Level)
		assert.Equal(t, "edit Pulumi.prod.yaml", f.Fix)
		all.WriteString(f.Found + "\n")
	}
	for _, want := range []string{
		"dbtier:aws.regoin: ", "did you mean region?", "dbtier:aws.region: ",
		"dbtier:aws.accountId: ",
	} {
		assert.Contains(t, all.String(), want)
	}

	referring := config("vpcId: vpc-0b1c2d3e4f5a6b7c8", "stackReference: {stack: organization/shop/network}")
	require.Len(t, referring, 2)
	assert.Equal(t, levelWarning, referring[1].Level)
	assert.Equal(t, "not checked, because they are outputs of organization/shop/network: network.vpcId",
		referring[1].Found)
}

func TestLinesOfSeveralStacksAreWhole(t *testing.T) {
	b := newBench(t)
	require.Zero(t, b.run("outputs", "--stacks", "local,prod"), b.stderr.String())
	assert.Contains(t, b.stdout.String(), "local | stack local has no outputs")
	assert.Contains(t, b.stdout.String(), "prod  | stack prod has no outputs")
}

func TestWhatAnAutoscalerSetIsNoDrift(t *testing.T) {
	b := newBench(t)
	tools := t.TempDir()
	t.Setenv("PATH", tools+":/bin:/usr/bin")
	const (
		autoscaler = `{"manager":"kube-controller-manager","subresource":"scale","fieldsV1":{"f:spec":{"f:replicas":{}}}}`
		person     = `{"manager":"kubectl","subresource":"scale","fieldsV1":{"f:spec":{"f:replicas":{}}}}`
		rollout    = `{"manager":"kube-controller-manager","subresource":"status","fieldsV1":{"f:status":{"f:replicas":{}}}}`
		changed    = `"spec.replicas":{"diffKind":"update"}`
		image      = `"spec.template.spec.containers[0].image":{"diffKind":"update"}`
	)
	urn := "urn:pulumi:prod::dbtier::kubernetes:apps/v1:Deployment::d"
	found := func(changed string) string {
		return `{"resourcePreEvent":{"metadata":{"op":"refresh","urn":"` + urn + `","type":"kubernetes:apps/v1:Deployment"}}}
{"resOutputsEvent":{"metadata":{"op":"update","urn":"` + urn + `","type":"kubernetes:apps/v1:Deployment","detailedDiff":{` + changed + `},"new":{"id":"myshop/api"}}}}
{"summaryEvent":{"resourceChanges":{"update":1,"same":4}}}
`
	}
	for name, c := range map[string]struct {
		changed, managed string
		code             int
		want             string
	}{
		"an autoscaler": {changed, autoscaler + "," + rollout, exitDone, "no drift (5 resources)"},
		"a person":      {changed, person, exitPending, "differs: spec.replicas"},
		"both, and an image": {
			changed + "," + image, autoscaler, exitPending,
			"differs: spec.template.spec.containers[0].image\n",
		},
		"the status, which no program sets": {`"status.conditions":{}`, "", exitDone, "no drift"},
		"a field without a known manager":   {changed, rollout, exitPending, "differs: spec.replicas"},
	} {
		require.NoError(t, os.WriteFile(filepath.Join(tools, "kubectl"), []byte(`#!/bin/sh
[ "$*" = "get --namespace=myshop --output=json Deployment.v1.apps api --show-managed-fields" ] || exit 1
echo '{"metadata":{"managedFields":[`+c.managed+`]}}'
`), 0o700))
		b.happens(found(c.changed))
		assert.Equal(t, c.code, b.run("drift", "--stack", "prod"), "%s: %s%s", name, b.stdout.String(),
			b.stderr.String())
		assert.Contains(t, b.stdout.String(), c.want, name)
	}
	require.NoError(t, os.Remove(filepath.Join(tools, "kubectl")))
	t.Setenv("PATH", tools)
	b.happens(found(changed))
	assert.Equal(t, exitPending, b.run("drift", "--stack", "prod"),
		"without an answer of the cluster the difference is drift")
}

// ciFiles are the files of the example pipelines by their path below examples/ci.
func ciFiles(t *testing.T) map[string]string {
	t.Helper()
	root, files := filepath.Join("..", "..", "examples", "ci"), map[string]string{}
	require.NoError(t, filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		name, _ := filepath.Rel(root, path)
		files[filepath.ToSlash(name)] = string(text)
		return err
	}))
	return files
}

type ciStep struct {
	Uses, Run, Shell string
	With             map[string]string
}

// ciJob is a job of GitHub, and of GitLab.
type ciJob struct {
	If          string
	Environment any
	Permissions map[string]string
	Steps       []ciStep

	Image     string
	Needs     ciList
	Script    []string
	Rules     []struct{ When string }
	Artifacts struct {
		Paths    []string
		ExpireIn string `yaml:"expire_in"`
	}
}

// ciList is a word or a list of words.
type ciList []string

func (l *ciList) UnmarshalYAML(at *yaml.Node) error {
	if at.Kind == yaml.ScalarNode {
		*l = ciList{at.Value}
		return nil
	}
	return at.Decode((*[]string)(l))
}

func (j *ciJob) commands() string {
	lines := slices.Clone(j.Script)
	for _, step := range j.Steps {
		lines = append(lines, step.Run)
	}
	return strings.Join(lines, "\n")
}

func (j *ciJob) uses(action string) bool {
	return slices.ContainsFunc(j.Steps, func(s ciStep) bool { return strings.HasPrefix(s.Uses, action) })
}

// workflows are the jobs of each pipeline of the infrastructure repository.
func workflows(t *testing.T) map[string]map[string]ciJob {
	t.Helper()
	all := map[string]map[string]ciJob{}
	for name, text := range ciFiles(t) {
		if filepath.Ext(name) != ".yml" || strings.Count(name, "/") != 1 {
			continue
		}
		if strings.HasPrefix(name, "github/") {
			var workflow struct{ Jobs map[string]ciJob }
			require.NoError(t, yaml.Unmarshal([]byte(text), &workflow), name)
			all[name] = workflow.Jobs
			continue
		}
		var keys map[string]yaml.Node
		require.NoError(t, yaml.Unmarshal([]byte(text), &keys), name)
		all[name] = map[string]ciJob{}
		for key, value := range keys {
			var job ciJob
			if !slices.Contains([]string{"workflow", "stages", "variables"}, key) {
				require.NoError(t, value.Decode(&job), "%s: %s", name, key)
				all[name][key] = job
			}
		}
	}
	require.Len(t, all, 5)
	return all
}

func TestCIUsesCommandsAndFlagsThatThereAre(t *testing.T) {
	root := commandsInPlace(t)
	checked := map[string]int{}
	for name, text := range ciFiles(t) {
		for _, found := range regexp.MustCompile(`bin/dbtier ([a-z-]+)\s`).FindAllStringSubmatch(text, -1) {
			cmd, _, err := root.Find(found[1:])
			require.NoError(t, err, name)
			assert.Equal(t, found[1], cmd.Name(), "%s: dbtier has no such command", name)
		}
		for _, line := range commandLines(text) {
			if cmd, _, err := root.Find(line[:1]); err != nil || cmd.Name() != line[0] {
				continue // In prose, dbtier is a name.
			}
			checked[name]++
			require.NoError(t, understood(root, line), "%s: dbtier %s", name, strings.Join(line, " "))
			for _, flag := range []string{"--no-policy", "--policy-pack", "--policy-pack-config", "--allow-data-loss"} {
				assert.NotContains(t, line, flag, "%s: what a stack may do is in its file, not in the pipeline", name)
			}
		}
	}
	for _, name := range []string{
		"README.md", "github/preview.yml", "github/deploy.yml", "github/drift.yml", "github/rotate.yml",
		"gitlab/.gitlab-ci.yml",
		"github/service/set-image.yml", "gitlab/service/set-image.yml",
	} {
		assert.Positive(t, checked[name], name)
	}
	for _, name := range []string{"github/service/set-image.yml", "gitlab/service/set-image.yml"} {
		assert.Contains(t, ciFiles(t)[name], `dbtier set --stack "$STACK" "consumer.image=$IMAGE"`, name)
	}
}

// commandsInPlace returns the root of the driver's commands, and stays in the folder of this test.
func commandsInPlace(t *testing.T) *cobra.Command {
	t.Helper()
	here, err := os.Getwd()
	require.NoError(t, err)
	root := newBench(t).root()
	t.Chdir(here)
	return root
}

func TestCIBuildsOnceAndPassesThePrograms(t *testing.T) {
	programs := []string{"bin/dbtier", "bin/policy-pack", "bin/pulumi"}
	for name, jobs := range workflows(t) {
		github := strings.HasPrefix(name, "github/")
		build, ok := jobs["build"]
		require.True(t, ok, "%s has no job build", name)
		if github {
			assert.True(t, build.uses("./.github/actions/build"), name)
		} else {
			assert.Equal(t, programs, build.Artifacts.Paths)
			assert.Contains(t, build.commands(), "make "+strings.Join(programs, " "))
		}
		for key, job := range jobs {
			if key == "build" {
				continue
			}
			at := name + ": " + key
			assert.NotRegexp(t, `\b(make|go) `, job.commands(), at)
			assert.NotContains(t, job.Image, "golang", at)
			assert.False(t, job.uses("actions/setup-go") || job.uses("./.github/actions/build"), at)
			if !strings.Contains(job.commands(), "bin/dbtier") {
				continue
			}
			if !github {
				assert.Contains(t, job.Needs, "build", at)
				continue
			}
			// A workflow's artifacts are there for each job that comes after the job build.
			needs := func(key string) string {
				if list := jobs[key].Needs; len(list) == 1 {
					return list[0]
				}
				return ""
			}
			first := key
			for range jobs {
				if next := needs(first); next != "" {
					first = next
				}
			}
			assert.Equal(t, "build", first, at)
			if key == "comment" {
				assert.NotContains(t, job.Permissions, "id-token", "%s: it needs no credentials of AWS", at)
				assert.True(t, job.uses("actions/download-artifact"), at)
				continue
			}
			assert.True(t, job.uses("./.github/actions/stack"), at)
			assert.Equal(t, "write", job.Permissions["id-token"], at)
		}
	}
	files := ciFiles(t)
	build := files["github/actions/build/action.yml"]
	assert.Contains(t, build, "make "+strings.Join(programs, " "))
	assert.Contains(t, build, "tar --create --file dbtier.tar "+strings.Join(programs, " "), "execute bits are kept")
	assert.Contains(t, build, "go-version-file: go.mod")
	assert.Contains(t, files["github/actions/stack/action.yml"], "tar --extract --file dbtier.tar")
}

func TestCINamesEachVersionOnce(t *testing.T) {
	files := ciFiles(t)
	own, err := os.ReadFile(filepath.Join("..", "..", ".github", "workflows", "ci.yml"))
	require.NoError(t, err)
	files[".github/workflows/ci.yml"] = string(own)
	versions := map[string]string{}
	for name, text := range files {
		assert.NotContains(t, text, pulumicli.Version, "%s: tools/pulumi/go.mod has the version of the Pulumi CLI", name)
		assert.NotRegexp(t, `go-version:|golang:\d+\.`, text, "%s: go.mod has the version of Go", name)
		for _, used := range regexp.MustCompile(`uses: ([^.\s@]\S*)@(\S+)`).FindAllStringSubmatch(text, -1) {
			if before, ok := versions[used[1]]; ok {
				assert.Equal(t, before, used[2], "%s: %s", name, used[1])
			}
			versions[used[1]] = used[2]
		}
	}
	assert.NotEmpty(t, versions)
}

func TestCIDeploysThePlanThatWasReviewed(t *testing.T) {
	for name, plan := range map[string]string{"github/deploy.yml": "plan-prod", "gitlab/.gitlab-ci.yml": "plan prod"} {
		jobs := workflows(t)[name]
		deploy := "prod"
		if _, ok := jobs[deploy]; !ok {
			deploy = "deploy prod"
		}
		planning, deploying := jobs[plan], jobs[deploy]
		assert.Contains(t, planning.commands(), "preview --stack prod --refresh --plan prod.plan", name)
		assert.Contains(t, deploying.commands(), "up --stack prod --yes --refresh --plan prod.plan", name)
		assert.Contains(t, deploying.Needs, plan, name)
		if strings.HasPrefix(name, "gitlab/") {
			assert.Equal(t, "manual", deploying.Rules[0].When, "a person starts it")
			assert.Contains(t, planning.Artifacts.Paths, "prod.plan")
			assert.Equal(t, "3 days", planning.Artifacts.ExpireIn)
			continue
		}
		assert.Equal(t, "prod-preview", planning.Environment, "the role of the plan only reads")
		assert.Equal(t, "prod", deploying.Environment, "the environment waits for the approval")
		kept := slices.IndexFunc(planning.Steps, func(s ciStep) bool { return strings.HasPrefix(s.Uses, "actions/upload") })
		require.GreaterOrEqual(t, kept, 0)
		assert.Equal(t, "prod.plan", planning.Steps[kept].With["path"])
		assert.Equal(t, "3", planning.Steps[kept].With["retention-days"])
		assert.True(t, deploying.uses("actions/download-artifact"))
	}
	for name, text := range ciFiles(t) {
		if name == "README.md" || strings.Contains(text, "--plan") {
			assert.Contains(t, text, "no longer fits", name)
			assert.Contains(t, text, "code 5", name)
		}
	}
}
