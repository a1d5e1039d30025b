package driver

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

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
	for _, flags := range [][]string{{"--config", "environment=x"}, {"--target", "a"}, {"--refresh"}} {
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
	}}).overrides()
	require.NoError(t, err)
	assert.Equal(t, map[string]any{
		"dbtier:pool.replicas": 3, "dbtier:environment": "staging",
		"dbtier:consumer.env":           map[string]any{"A": "b"},
		"dbtier:database.engineVersion": "16", "dbtier:consumer.name": "", "dbtier:consumer.env.URL": "a=b",
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
	assert.Equal(t, levelOK, levels["backend"])
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
