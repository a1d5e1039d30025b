package progress_test

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/pulumi/pulumi/sdk/v3/go/auto/events"
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/internal/progress"
	"dbtier/internal/redact"
	"dbtier/policy/rule"
	"dbtier/policy/ruletest"
)

const (
	instance = "urn:pulumi:local::dbtier::dbtier:rds:RdsPostgres$aws:rds/instance:Instance::myshop-db"
	tier     = "urn:pulumi:local::dbtier::dbtier:rds:RdsPostgres::myshop"
	job      = "urn:pulumi:local::dbtier::dbtier:job:MigrationJob$kubernetes:batch/v1:Job::migrate"
	stack    = "urn:pulumi:local::dbtier::pulumi:pulumi:Stack::dbtier-local"
)

// screen is a renderer on a clock that a test moves.
type screen struct {
	*progress.Renderer
	out bytes.Buffer
	now time.Time
}

func newScreen(o progress.Options) *screen {
	s := &screen{now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	o.Out, o.Now = &s.out, func() time.Time { return s.now }
	s.Renderer = progress.New(o)
	return s
}

func (s *screen) after(d time.Duration) *screen {
	s.now = s.now.Add(d)
	return s
}

func (s *screen) event(e apitype.EngineEvent) { s.Event(events.EngineEvent{EngineEvent: e}) }

func typeOf(urn string) string {
	chain := strings.Split(urn, "::")[2]
	return chain[strings.LastIndex(chain, "$")+1:]
}

func (s *screen) begin(op apitype.OpType, urn string) {
	s.event(apitype.EngineEvent{ResourcePreEvent: &apitype.ResourcePreEvent{
		Metadata: apitype.StepEventMetadata{Op: op, URN: urn, Type: typeOf(urn)},
	}})
}

func (s *screen) end(op apitype.OpType, urn string) {
	s.event(apitype.EngineEvent{ResOutputsEvent: &apitype.ResOutputsEvent{
		Metadata: apitype.StepEventMetadata{Op: op, URN: urn, Type: typeOf(urn)},
	}})
}

func (s *screen) diagnose(d apitype.DiagnosticEvent) {
	s.event(apitype.EngineEvent{DiagnosticEvent: &d})
}

func TestEachFinishedOperationIsOneLineWithItsTime(t *testing.T) {
	s := newScreen(progress.Options{})
	s.begin(apitype.OpCreate, stack)
	s.begin(apitype.OpSame, tier)
	s.begin(apitype.OpCreate, instance)
	s.after(2500*time.Millisecond).end(apitype.OpCreate, instance)
	s.end(apitype.OpSame, tier)
	s.end(apitype.OpCreate, stack)
	lines := strings.Split(strings.TrimSpace(s.out.String()), "\n")
	require.Len(t, lines, 1, "neither what stays nor the stack itself: %s", s.out.String())
	assert.Equal(t, []string{"+", "aws:rds:Instance", "myshop-db", "2.5s"}, strings.Fields(lines[0]))
}

func TestSilenceIsBrokenByWhatIsWaitedFor(t *testing.T) {
	s := newScreen(progress.Options{})
	s.begin(apitype.OpCreate, tier)
	s.begin(apitype.OpCreate, instance)
	s.begin(apitype.OpCreate, job)
	s.after(2 * time.Second).Tick()
	assert.Empty(t, s.out.String(), "not yet")
	s.diagnose(apitype.DiagnosticEvent{
		URN: job, Severity: "info",
		Message: "<{%reset%}>waiting for the Job: 0 of 1 complete<{%reset%}>\nmore", Ephemeral: true,
	})
	s.after(time.Second).Tick()
	assert.Equal(t, "    … creating kubernetes:Job migrate, 3.0s: waiting for the Job: 0 of 1 complete (and 1 more)\n",
		s.out.String())
	s.after(time.Second).Tick()
	assert.Equal(t, 1, strings.Count(s.out.String(), "\n"), "it is shown only now and then")
	s.after(2 * time.Second).Tick()
	assert.Equal(t, 2, strings.Count(s.out.String(), "\n"))
	s.after(time.Minute).Tick()
	s.after(3 * time.Second).Tick()
	assert.Equal(t, 3, strings.Count(s.out.String(), "\n"), "less often the longer it takes")
}

// A chart whose objects are all there is not done before the program has ended, and nobody waits for it.
func TestAComponentIsNotWhatIsWaitedFor(t *testing.T) {
	s := newScreen(progress.Options{})
	begin := func(urn string, custom bool) {
		s.event(apitype.EngineEvent{ResourcePreEvent: &apitype.ResourcePreEvent{Metadata: apitype.StepEventMetadata{
			Op: apitype.OpCreate, URN: urn, Type: typeOf(urn),
			New: &apitype.StepEventStateMetadata{URN: urn, Type: typeOf(urn), Custom: custom},
		}}})
	}
	begin(tier, false)
	s.after(3 * time.Second).Tick()
	assert.Equal(t, "    … creating dbtier:RdsPostgres myshop, 3.0s\n", s.out.String(), "only it is known to run")
	s.out.Reset()
	begin(job, true)
	s.after(3 * time.Second).Tick()
	assert.Equal(t, "    … creating kubernetes:Job migrate, 3.0s\n", s.out.String())
}

func TestATerminalHasOneLineThatIsRewritten(t *testing.T) {
	s := newScreen(progress.Options{Live: true, Width: 40})
	s.begin(apitype.OpCreate, instance)
	s.Tick()
	s.after(time.Second).Tick()
	assert.NotContains(t, s.out.String(), "\n")
	for part := range strings.SplitSeq(s.out.String(), "\r\033[K") {
		assert.LessOrEqual(t, len([]rune(part)), 40,
			"never longer than the terminal is wide: else it cannot be taken back")
	}
	s.end(apitype.OpCreate, instance)
	assert.True(t, strings.HasSuffix(s.out.String(), "1.0s\n"))
}

func TestErrorsAreKeptOnceWithoutTheEnginesWrapping(t *testing.T) {
	s := newScreen(progress.Options{})
	s.diagnose(apitype.DiagnosticEvent{
		URN: stack, Severity: "error",
		Message: "<{%fg 1%}>an unhandled error occurred: program failed:<{%reset%}>\n1 error occurred:\n\t* " +
			"backup.window: \"03:00\": overlaps\n\n",
	})
	s.diagnose(apitype.DiagnosticEvent{
		URN: stack, Severity: "error",
		Message: "an unhandled error occurred: program failed: \n1 error occurred:\n\t* backup.window: \"03:00\": " +
			"overlaps",
	})
	s.diagnose(apitype.DiagnosticEvent{URN: stack, Severity: "error", Message: "update failed"})
	s.diagnose(apitype.DiagnosticEvent{
		URN: job, Severity: "error",
		Message: "Job myshop/migrate failed\n  | no such table",
	})
	s.diagnose(apitype.DiagnosticEvent{URN: job, Severity: "warning", Message: "careful\nvery"})
	s.diagnose(apitype.DiagnosticEvent{URN: job, Severity: "warning", Message: "careful\nvery"})
	s.diagnose(apitype.DiagnosticEvent{URN: job, Severity: "debug", Message: "noise"})
	stream := make(chan events.EngineEvent)
	close(stream)
	result := s.Consume(stream, nil)
	assert.Equal(t, []string{
		`backup.window: "03:00": overlaps`,
		"kubernetes:Job migrate: Job myshop/migrate failed\n  | no such table",
	}, result.Errors)
	assert.Equal(t, "  ! kubernetes:Job migrate: careful\n    very\n", s.out.String())
}

func TestAnErrorWithSeveralReasonsTellsEachOnce(t *testing.T) {
	s := newScreen(progress.Options{})
	log := func(pod string, second int) string {
		return fmt.Sprintf("\t* last lines of the log of pod %s, container migrate (exit code 3):\n"+
			"    18:40:%02d no such table\n", pod, second)
	}
	s.diagnose(apitype.DiagnosticEvent{
		URN: job, Severity: "error",
		Message: "error: 8 errors occurred:\n\t* Job myshop/migrate failed: BackoffLimitExceeded\n" +
			"\t* pod m-1: container migrate ended with exit code 3: Error\n" + log("m-1", 10) +
			"\t* pod m-2: container migrate ended with exit code 3: Error\n" + log("m-2", 25) +
			"\t* pod m-3: container migrate ended with exit code 137: OOMKilled\n" + log("m-3", 40) +
			"\t* and 1 more pods\n\n",
	})
	stop := make(chan struct{})
	close(stop)
	assert.Equal(t, []string{"kubernetes:Job migrate: Job myshop/migrate failed: BackoffLimitExceeded\n" +
		"pod m-1: container migrate ended with exit code 3: Error\n" +
		"last lines of the log of pod m-1, container migrate (exit code 3):\n    18:40:10 no such table\n" +
		"pod m-3: container migrate ended with exit code 137: OOMKilled\nand 3 more pods"},
		s.Consume(make(chan events.EngineEvent), stop).Errors)
}

func TestPoliciesThatWaitForValuesAreOneLine(t *testing.T) {
	for inputs, want := range map[bool]string{
		false: "    3 policies wait for 2 values that the update knows (--inputs lists them)\n",
		true:  "    3 " + rule.Waiting + ":\n      a.ingress: one, two\n      b.arn: three\n",
	} {
		s := newScreen(progress.Options{Planning: true, Inputs: inputs})
		s.diagnose(apitype.DiagnosticEvent{
			Severity: "info", Message: "3 " + rule.Waiting + ":\n  a.ingress: one, two\n  b.arn: three\n",
		})
		assert.Equal(t, want, s.out.String())
	}
}

func TestTheTimesOfRowsAreInOneColumn(t *testing.T) {
	const of = "urn:pulumi:s::dbtier::dbtier:components:ExternalSecretsOperator$"
	urns := []string{
		instance,
		of + "kubernetes:apps/v1:Deployment::operator-chart:external-secrets/external-secrets-cert-controller",
		of + "kubernetes:admissionregistration.k8s.io/v1:ValidatingWebhookConfiguration::operator-chart:secretstore-validate",
		of + "kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinition::operator-chart:" +
			"clusterexternalsecrets.external-secrets.io",
	}
	for _, width := range []int{0, 60, 80, 120, 200} {
		s := newScreen(progress.Options{Width: width})
		for _, urn := range urns {
			s.begin(apitype.OpCreate, urn)
			s.end(apitype.OpCreate, urn)
		}
		for line := range strings.Lines(s.out.String()) {
			first, _, _ := strings.Cut(s.out.String(), "\n")
			assert.Equal(t, utf8.RuneCountInString(first)+1, utf8.RuneCountInString(line), "width %d:\n%s", width, s.out.String())
		}
	}
}

// The engine counts a replacement whose old resource is gone, although nothing has taken its place.
func TestAReplacementCountsWhenItIsCreated(t *testing.T) {
	fail := func(s *screen, op apitype.OpType) {
		s.event(apitype.EngineEvent{ResOpFailedEvent: &apitype.ResOpFailedEvent{
			Metadata: apitype.StepEventMetadata{Op: op, URN: job, Type: typeOf(job)},
		}})
	}
	for want, happens := range map[string]func(s *screen){
		"1 deleted, 101 unchanged, 1.0s": func(s *screen) {
			s.begin(apitype.OpDeleteReplaced, job)
			s.end(apitype.OpDeleteReplaced, job)
			s.begin(apitype.OpCreateReplacement, job)
			fail(s, apitype.OpCreateReplacement)
		},
		"no changes (101 resources), 1.0s": func(s *screen) {
			s.begin(apitype.OpCreateReplacement, job)
			fail(s, apitype.OpCreateReplacement)
		},
		"1 replaced, 101 unchanged, 1.0s": func(s *screen) {
			s.begin(apitype.OpCreateReplacement, job)
			s.end(apitype.OpCreateReplacement, job)
			s.begin(apitype.OpDeleteReplaced, job)
			fail(s, apitype.OpDeleteReplaced)
		},
	} {
		s := newScreen(progress.Options{})
		happens(s)
		s.event(apitype.EngineEvent{SummaryEvent: &apitype.SummaryEvent{
			ResourceChanges: map[apitype.OpType]int{apitype.OpReplace: 1, apitype.OpSame: 101},
		}})
		stop := make(chan struct{})
		close(stop)
		assert.Equal(t, want, s.Consume(make(chan events.EngineEvent), stop).Summary(false, time.Second))
	}
	s := newScreen(progress.Options{Planning: true})
	s.begin(apitype.OpReplace, job)
	s.event(apitype.EngineEvent{SummaryEvent: &apitype.SummaryEvent{
		ResourceChanges: map[apitype.OpType]int{apitype.OpReplace: 1},
	}})
	stop := make(chan struct{})
	close(stop)
	assert.Equal(t, "1 to replace, 1.0s", s.Consume(make(chan events.EngineEvent), stop).Summary(true, time.Second))
}

func TestAFailedOperationIsMarked(t *testing.T) {
	s := newScreen(progress.Options{Quiet: true})
	s.begin(apitype.OpUpdate, job)
	s.after(90 * time.Second).event(apitype.EngineEvent{
		ResOpFailedEvent: &apitype.ResOpFailedEvent{
			Metadata: apitype.StepEventMetadata{Op: apitype.OpUpdate, URN: job, Type: typeOf(job)},
		},
	})
	assert.Contains(t, s.out.String(), "failed after 1m30s", "also where only faults are shown")
}

func TestAMandatoryPolicyIsAnErrorAndAnAdvisoryOneAWarning(t *testing.T) {
	s := newScreen(progress.Options{})
	for range 2 {
		s.event(apitype.EngineEvent{PolicyEvent: &apitype.PolicyEvent{
			ResourceURN: instance, PolicyName: "backups", PolicyPackName: "dbtier", Message: "too few days",
			EnforcementLevel: "mandatory",
		}})
		s.event(apitype.EngineEvent{PolicyEvent: &apitype.PolicyEvent{
			ResourceURN: stack, PolicyName: "hint", PolicyPackName: "dbtier", Message: "consider",
			EnforcementLevel: "advisory",
		}})
	}
	stop := make(chan struct{})
	close(stop)
	result := s.Consume(make(chan events.EngineEvent), stop)
	assert.Equal(t, []string{"aws:rds:Instance myshop-db: policy backups (dbtier): too few days"}, result.Errors)
	assert.Equal(t, "  ! policy hint (dbtier): consider\n", s.out.String())
}

func TestAFindingNamesTheSettingThatItComesFrom(t *testing.T) {
	s := newScreen(progress.Options{})
	const database = "urn:pulumi:prod::dbtier::dbtier:components:RdsPostgres$aws:rds/instance:Instance::database-instance"
	for policy, level := range map[string]string{"rds-multi-az": "mandatory", "rds-events-subscribed": "advisory"} {
		s.event(apitype.EngineEvent{PolicyEvent: &apitype.PolicyEvent{
			ResourceURN: database, PolicyName: policy, PolicyPackName: "dbtier", EnforcementLevel: level,
			Message: "A requirement.\nmultiAz: false: there is no standby\nfix: a fix",
		}})
	}
	stop := make(chan struct{})
	close(stop)
	result := s.Consume(make(chan events.EngineEvent), stop)
	require.Len(t, result.Errors, 1)
	assert.Contains(t, result.Errors[0], "\nsetting: database.multiAz in Pulumi.prod.yaml\n")
	assert.Contains(t, result.Errors[0], "below config: dbtier-policy:exceptions: {rds-multi-az: [{resource: database-instance, owner: ")
	assert.Contains(t, s.out.String(), "setting: database.events.topicArn in Pulumi.prod.yaml")
	assert.NotContains(t, s.out.String(), "exceptions", "only what stops the run needs one")
}

func (s *screen) refreshed(op apitype.OpType, urn string, diff map[string]apitype.PropertyDiff) {
	s.event(apitype.EngineEvent{ResOutputsEvent: &apitype.ResOutputsEvent{Metadata: apitype.StepEventMetadata{
		Op: op, URN: urn, Type: typeOf(urn), DetailedDiff: diff,
		Old: &apitype.StepEventStateMetadata{
			ID: "db", Inputs: map[string]any{"a": 1},
			Outputs: map[string]any{"a": 0, "b": 2},
		},
	}}})
}

func TestARefreshTellsWhatItFoundAndNotWhatItReads(t *testing.T) {
	s := newScreen(progress.Options{})
	for _, urn := range []string{instance, job, tier} {
		s.begin(apitype.OpRefresh, urn)
	}
	s.after(5 * time.Second).Tick()
	assert.Contains(t, s.out.String(), "… refreshing aws:rds:Instance myshop-db, 5.0s (and 1 more)",
		"a long refresh is shown")
	s.out.Reset()
	s.refreshed(apitype.OpSame, tier, nil)
	s.refreshed(apitype.OpUpdate, instance, map[string]apitype.PropertyDiff{
		"backupRetentionPeriod": {Kind: apitype.DiffUpdate},
	})
	s.refreshed(apitype.OpDelete, job, nil)
	assert.Equal(t, []string{
		"~ aws:rds:Instance myshop-db", "differs: backupRetentionPeriod",
		"- kubernetes:Job migrate",
	}, fields(s.out.String()))
	result := s.Consume(closed(), nil)
	require.Len(t, result.Steps, 3)
	assert.Equal(t, apitype.OpUpdate, result.Steps[1].Op)
	assert.Equal(t, "db", result.Steps[1].ID)
	assert.Equal(t, map[string]any{"a": 1, "b": 2}, result.Steps[1].Before,
		"where inputs and outputs differ, the inputs count")
	assert.Equal(t, 2, result.Done)
	s.out.Reset()
	s.after(time.Hour).Tick()
	assert.Empty(t, s.out.String(), "nothing is waited for")
}

func TestTheRefreshBeforeAnUpdateIsNoStep(t *testing.T) {
	s := newScreen(progress.Options{})
	s.begin(apitype.OpRefresh, instance)
	s.refreshed(apitype.OpRefresh, instance, nil)
	s.begin(apitype.OpUpdate, instance)
	s.end(apitype.OpUpdate, instance)
	result := s.Consume(closed(), nil)
	require.Len(t, result.Steps, 1)
	assert.Equal(t, apitype.OpUpdate, result.Steps[0].Op)
	assert.Equal(t, 1, result.Done)
}

func TestAReplacementKnowsItsReasons(t *testing.T) {
	s := newScreen(progress.Options{Planning: true})
	s.event(apitype.EngineEvent{ResourcePreEvent: &apitype.ResourcePreEvent{Metadata: apitype.StepEventMetadata{
		Op: apitype.OpReplace, URN: instance, Type: typeOf(instance), Keys: []string{"dbName"},
		DetailedDiff: map[string]apitype.PropertyDiff{
			"dbName": {Kind: apitype.DiffUpdateReplace}, "tags": {Kind: apitype.DiffUpdate},
			"engine": {Kind: apitype.DiffUpdateReplace},
		},
		Old: &apitype.StepEventStateMetadata{RetainOnDelete: true},
	}}})
	step := s.Consume(closed(), nil).Steps[0]
	assert.Equal(t, []string{"dbName", "engine"}, step.Because)
	assert.Equal(t, []string{"dbName", "engine", "tags"}, step.Changed)
	assert.True(t, step.Retained)
}

func TestTheStacksOutputsAreKnownWithoutSecrets(t *testing.T) {
	s := newScreen(progress.Options{Planning: true})
	s.event(apitype.EngineEvent{ResOutputsEvent: &apitype.ResOutputsEvent{Metadata: apitype.StepEventMetadata{
		Op: apitype.OpCreate, URN: stack, Type: typeOf(stack),
		New: &apitype.StepEventStateMetadata{Outputs: map[string]any{
			"connectionsPlanned": 86.0, "token": "[secret]",
		}},
	}}})
	assert.Equal(t, map[string]any{"connectionsPlanned": 86.0, "token": progress.Secret},
		s.Consume(closed(), nil).Outputs)
}

func TestPathsLeadIntoValues(t *testing.T) {
	value := map[string]any{"spec": map[string]any{"containers": []any{map[string]any{"image": "a"}}, "x.y": 1}}
	for path, want := range map[string]any{"spec.containers[0].image": "a", `spec["x.y"]`: 1} {
		found, ok := progress.At(value, path)
		assert.True(t, ok, path)
		assert.Equal(t, want, found, path)
	}
	for _, path := range []string{
		"none", "spec.containers[1]", "spec.containers.image",
		"spec.containers[0].image.more", "[", "",
	} {
		found, ok := progress.At(value, path)
		assert.False(t, ok && path != "", "%q led to %v", path, found)
	}
}

func closed() chan events.EngineEvent {
	stream := make(chan events.EngineEvent)
	close(stream)
	return stream
}

// fields are the words of each line.
func fields(text string) []string {
	var lines []string
	for line := range strings.Lines(text) {
		lines = append(lines, strings.Join(strings.Fields(line), " "))
	}
	return lines
}

func TestAPreviewShowsInputsWithoutSecretsAndUnknowns(t *testing.T) {
	s := newScreen(progress.Options{Planning: true, Inputs: true})
	s.event(apitype.EngineEvent{ResourcePreEvent: &apitype.ResourcePreEvent{
		Planning: true, Metadata: apitype.StepEventMetadata{
			Op: apitype.OpCreate, URN: instance, Type: typeOf(instance),
			New: &apitype.StepEventStateMetadata{Inputs: map[string]any{
				"instanceClass": "db.m6g.large", "password": "[secret]",
				"kmsKeyId":   "04da6b54-80e4-46f7-96ec-b56ff0331ba9",
				"__defaults": []any{},
				"list": []any{map[string]any{
					"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270",
					"value":                            "hush",
				}},
			}},
		},
	}})
	out := s.out.String()
	assert.Contains(t, out, "+ aws:rds:Instance")
	assert.Contains(t, out, "        instanceClass: db.m6g.large\n")
	assert.Contains(t, out, "password: "+progress.Secret)
	assert.Contains(t, out, "kmsKeyId: "+progress.Computed)
	assert.NotContains(t, out, "hush")
	assert.NotContains(t, out, "__defaults")
}

// TestTheTierItselfHasNoCredentials requires that the resources of the golden files are shown as they are.
func TestTheTierItselfHasNoCredentials(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"prod.yaml", "dev.yaml", "local.yaml", "proxy/password.yaml", "services/orders.yaml", "services/cluster.yaml"} {
		for _, r := range ruletest.Golden(t, "../../tests/golden/"+file) {
			if len(r.Inputs) > 0 && !reflect.DeepEqual(progress.Sanitize(r.Inputs), any(progress.Visible(r.Inputs))) {
				t.Errorf("%s: %s", file, r.Name)
			}
		}
	}
}

func TestCredentialsThatNothingDeclaresSecretAreNotShown(t *testing.T) {
	secrets := &redact.Redactor{}
	s := newScreen(progress.Options{Planning: true, Inputs: true, Secrets: secrets})
	s.event(apitype.EngineEvent{ResourcePreEvent: &apitype.ResourcePreEvent{
		Planning: true, Metadata: apitype.StepEventMetadata{
			Op: apitype.OpCreate, URN: instance, Type: typeOf(instance),
			New: &apitype.StepEventStateMetadata{Inputs: map[string]any{
				"env": []any{map[string]any{"name": "DATABASE_PASSWORD", "value": "hunter22"}}, "url": "amqp://a:hunter33@b",
			}},
		},
	}})
	assert.Contains(t, s.out.String(), "value: "+progress.Secret)
	assert.Contains(t, s.out.String(), "url: amqp://a:[secret]@b")
	assert.Equal(t, "[secret] and [secret]", secrets.Clean("hunter22 and hunter33"))

	step := progress.Step{
		Changed: []string{"env[0].value", "databaseCredential"}, Type: "a",
		Before: map[string]any{"env": []any{map[string]any{"name": "TOKEN", "value": "hunter22"}}, "databaseCredential": "a-1"},
		After:  map[string]any{"env": []any{map[string]any{"name": "TOKEN", "value": "hunter33"}}, "databaseCredential": "a-2"},
	}
	assert.Equal(t, "env[0].value: <secret> → <secret>", step.Changes(nil)[0].String())
	step.Type = typeOf(stack)
	assert.Equal(t, "databaseCredential: a-1 → a-2", step.Changes(nil)[1].String(), "an output names an object")
}

func TestAPreviewOfAnUpdateNamesWhatChanges(t *testing.T) {
	s := newScreen(progress.Options{Planning: true})
	s.event(apitype.EngineEvent{ResourcePreEvent: &apitype.ResourcePreEvent{Metadata: apitype.StepEventMetadata{
		Op: apitype.OpUpdate, URN: instance, Type: typeOf(instance),
		DetailedDiff: map[string]apitype.PropertyDiff{"tags.b": {}, "allocatedStorage": {}},
	}}})
	assert.Contains(t, s.out.String(), "        changes: allocatedStorage, tags.b\n")
}

func TestConsumeEndsAlsoWhenNobodyClosesTheStream(t *testing.T) {
	s := newScreen(progress.Options{})
	stream := make(chan events.EngineEvent, 1)
	stream <- events.EngineEvent{EngineEvent: apitype.EngineEvent{
		SummaryEvent: &apitype.SummaryEvent{ResourceChanges: map[apitype.OpType]int{apitype.OpCreate: 3}},
	}}
	stop := make(chan struct{})
	close(stop)
	result := s.Consume(stream, stop)
	assert.Equal(t, 3, result.Changes[apitype.OpCreate], "the events that arrived count")
}

func TestSummary(t *testing.T) {
	type changes = map[apitype.OpType]int
	for _, c := range []struct {
		changes  changes
		planning bool
		want     string
	}{
		{changes{apitype.OpSame: 45}, false, "no changes (45 resources), 1.9s"},
		{changes{}, false, "no changes (0 resources), 1.9s"},
		{changes{apitype.OpSame: 45, apitype.OpRead: 1}, true, "no changes (45 resources), 1.9s"},
		{changes{apitype.OpCreate: 45}, false, "45 created, 1.9s"},
		{
			changes{apitype.OpCreate: 2, apitype.OpUpdate: 1, apitype.OpDelete: 3, apitype.OpSame: 4},
			false,
			"2 created, 1 updated, 3 deleted, 4 unchanged, 1.9s",
		},
		{changes{apitype.OpReplace: 1, apitype.OpSame: 4}, true, "1 to replace, 4 unchanged, 1.9s"},
		{changes{apitype.OpCreateReplacement: 1}, false, "1 replaced, 1.9s"},
	} {
		assert.Equal(t, c.want, progress.Result{Changes: c.changes}.Summary(c.planning, 1900*time.Millisecond))
	}
}

func TestADestroyCountsWhatItKeepsApart(t *testing.T) {
	result := progress.Result{
		Changes: map[apitype.OpType]int{apitype.OpDelete: 3},
		Steps: []progress.Step{
			{Op: apitype.OpDelete}, {Op: apitype.OpDelete, Retained: true}, {Op: apitype.OpDelete, Retained: true},
		},
	}
	assert.Equal(t, "1 deleted, 2 kept, 2.0s", result.Summary(false, 2*time.Second))
	result.Changes[apitype.OpDelete], result.Steps = 2, result.Steps[1:]
	assert.Equal(t, "2 kept, 2.0s", result.Summary(false, 2*time.Second))
}

// removal are the events of a deletion of a resource that the stack may retain.
func (s *screen) removal(op apitype.OpType, urn string, retained bool) {
	m := apitype.StepEventMetadata{
		Op: op, URN: urn, Type: typeOf(urn), Old: &apitype.StepEventStateMetadata{RetainOnDelete: retained},
	}
	s.event(apitype.EngineEvent{ResourcePreEvent: &apitype.ResourcePreEvent{Metadata: m}})
	s.after(4 * time.Second).Tick()
	s.event(apitype.EngineEvent{ResOutputsEvent: &apitype.ResOutputsEvent{Metadata: m}})
}

func TestWhatADeletionKeepsHasASignOfItsOwn(t *testing.T) {
	for _, planning := range []bool{false, true} {
		s := newScreen(progress.Options{Planning: planning})
		s.removal(apitype.OpDelete, instance, true)
		s.removal(apitype.OpDelete, job, false)
		if !planning {
			s.removal(apitype.OpDeleteReplaced, instance, true)
		}
		var signs []string
		for line := range strings.Lines(s.out.String()) {
			fields := strings.Fields(line)
			if signs = append(signs, fields[0]); fields[0] == "." {
				assert.Equal(t, "kept", fields[len(fields)-1], line)
			}
			assert.False(t, fields[0] == "…" && strings.Contains(line, "deleting aws:rds:Instance"), line)
		}
		want := []string{"…", ".", "…", "-", "…", "."}
		if planning {
			want = []string{".", "-"}
		}
		assert.Equal(t, want, signs, s.out.String())
	}
}

func TestWhatARefreshDoesNotFindIsNotKept(t *testing.T) {
	s := newScreen(progress.Options{})
	m := apitype.StepEventMetadata{
		Op: apitype.OpRefresh, URN: instance, Type: typeOf(instance),
		Old: &apitype.StepEventStateMetadata{RetainOnDelete: true},
	}
	s.event(apitype.EngineEvent{ResourcePreEvent: &apitype.ResourcePreEvent{Metadata: m}})
	m.Op = apitype.OpDelete
	s.event(apitype.EngineEvent{ResOutputsEvent: &apitype.ResOutputsEvent{Metadata: m}})
	s.event(apitype.EngineEvent{SummaryEvent: &apitype.SummaryEvent{
		ResourceChanges: map[apitype.OpType]int{apitype.OpDelete: 1},
	}})
	result := s.Consume(closed(), nil)
	require.Len(t, result.Steps, 1)
	assert.False(t, result.Steps[0].Retained)
	assert.Equal(t, "1 deleted, 0.0s", result.Summary(false, 0))
	assert.Contains(t, s.out.String(), "  - aws:rds:Instance")
}

// The engine cancels what is in flight after the first error, and reports that as errors too, sometimes before it.
func TestWhatOnlyFollowsFromAnErrorIsNoError(t *testing.T) {
	consequences := []string{
		"failed to run remediation: context canceled",
		"error: rpc error: code = Canceled desc = context canceled",
		"rpc error: code = Unavailable desc = transport is closing",
		"grpc: the client connection is closing",
		`failed to run policy "a": rpc error: code = Canceled desc = grpc: the client connection is closing`,
	}
	const cause = "Job myshop/migrate failed: context canceled by the person who waited"
	for _, message := range consequences {
		s := newScreen(progress.Options{})
		s.diagnose(apitype.DiagnosticEvent{URN: instance, Severity: "error", Message: message})
		s.diagnose(apitype.DiagnosticEvent{URN: job, Severity: "error", Message: cause})
		assert.Equal(t, []string{"kubernetes:Job migrate: " + cause}, s.Consume(closed(), nil).Errors)

		s = newScreen(progress.Options{})
		s.diagnose(apitype.DiagnosticEvent{URN: instance, Severity: "error", Message: message})
		assert.Len(t, s.Consume(closed(), nil).Errors, 1, "without another one it is all that is known")
	}
}

func TestAResourceThatARefreshFindsUnreadyIsToldPlainly(t *testing.T) {
	s := newScreen(progress.Options{})
	s.diagnose(apitype.DiagnosticEvent{
		URN: job, Severity: "warning",
		Message: "Refreshed resource is in an unhealthy state:\n* Job myshop/migrate failed\n* 1 pod failed",
	})
	assert.Equal(t, "  ! kubernetes:Job migrate: exists, but is not ready: Job myshop/migrate failed\n    1 pod failed\n",
		s.out.String())
}

func TestWhatIsNotAsInThePlanIsNamedWithoutItsValues(t *testing.T) {
	const urn = "urn:pulumi:prod::dbtier::kubernetes:core/v1:ConfigMap::pool-config"
	const advice = ": make a new plan with preview --plan, and have it reviewed"
	for message, want := range map[string]string{
		"violates plan: properties changed: ~~data[{map[a:{x, +~y} b:{z}]}!={map[a:{w}]}], +=metadata[{map[]}], =-other": "" +
			"is not as in the plan: the inputs data, metadata, other differ" + advice,
		"violates plan: parent changed (expected urn:a)": "is not as in the plan: parent changed (expected urn:a)" + advice,
	} {
		for from, joined := range map[string]string{"": " ", urn: ": "} {
			s := newScreen(progress.Options{})
			s.diagnose(apitype.DiagnosticEvent{URN: from, Severity: "error", Message: "resource " + urn + " " + message})
			stream := make(chan events.EngineEvent)
			close(stream)
			assert.Equal(t, []string{"kubernetes:ConfigMap pool-config" + joined + want}, s.Consume(stream, nil).Errors)
		}
	}
}

func TestWarningsThatWerePrintedAreNotPrintedAgain(t *testing.T) {
	told := map[string]bool{}
	var printed []string
	for range 2 {
		s := newScreen(progress.Options{Told: told})
		s.diagnose(apitype.DiagnosticEvent{URN: job, Severity: "warning", Message: "careful"})
		s.event(apitype.EngineEvent{PolicyEvent: &apitype.PolicyEvent{
			ResourceURN: instance, PolicyName: "rule", PolicyPackName: "dbtier", EnforcementLevel: "advisory",
			Message: "why",
		}})
		stream := make(chan events.EngineEvent)
		close(stream)
		result := s.Consume(stream, nil)
		assert.Len(t, result.Warnings, 1)
		assert.Len(t, result.Findings, 1)
		printed = append(printed, s.out.String())
	}
	assert.Equal(t, "  ! kubernetes:Job migrate: careful\n"+
		"  ! aws:rds:Instance myshop-db: policy rule (dbtier): why\n", printed[0])
	assert.Empty(t, printed[1])
}
