package analyzer_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/plugin"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/emptypb"

	"dbtier/policy/analyzer"
	"dbtier/policy/pack"
	"dbtier/policy/registry"
	"dbtier/policy/rule"
	"dbtier/policy/ruletest"
)

const (
	instanceType = "aws:rds/instance:Instance"
	instanceURN  = "urn:pulumi:test::test::aws:rds/instance:Instance::database"
)

func instance(inputs map[string]any) *ruletest.Resource {
	return &ruletest.Resource{Type: instanceType, Name: "database", Inputs: inputs}
}

func exception(change func(map[string]any)) map[string]any {
	e := map[string]any{
		"resource": "database", "owner": "team-orders", "reason": "migration under way",
		"expires": "2027-03-31",
	}
	if change != nil {
		change(e)
	}
	return map[string]any{"exceptions": []any{e}}
}

func judge(t *testing.T, setup ruletest.Setup, name string, resources ...*ruletest.Resource) *ruletest.Answer {
	t.Helper()
	rules := []*rule.Rule{registry.Find(name), registry.Find("exceptions-current")}
	return ruletest.Judge(t, setup, rules, resources...)
}

func TestLevelsFollowTheProfile(t *testing.T) {
	t.Parallel()
	for profile, level := range map[rule.Profile]pulumirpc.EnforcementLevel{
		rule.Production: pulumirpc.EnforcementLevel_MANDATORY, rule.Development: pulumirpc.EnforcementLevel_ADVISORY,
	} {
		answer := judge(t, ruletest.Setup{Profile: profile}, "rds-iam-authentication", instance(nil))
		require.Len(t, answer.Diagnostics, 1)
		assert.Equal(t, level, answer.Diagnostics[0].GetEnforcementLevel(), profile)
		assert.Equal(t, instanceURN, answer.Diagnostics[0].GetUrn())
		assert.Equal(t, pulumirpc.PolicySeverity_POLICY_SEVERITY_MEDIUM, answer.Diagnostics[0].GetSeverity())
	}
	assert.Empty(t, judge(t, ruletest.Setup{Profile: rule.Development}, "rds-multi-az", instance(nil)).Diagnostics,
		"the rule is disabled in development")
}

func TestTheStackSaysItsProfileByConfigTagOrEnvironment(t *testing.T) {
	for _, c := range []struct {
		name         string
		config, tags map[string]string
		environment  string
		want         pulumirpc.EnforcementLevel
	}{
		{name: "nothing", want: pulumirpc.EnforcementLevel_MANDATORY},
		{
			name: "own key", config: map[string]string{"dbtier-policy:profile": "development"},
			want: pulumirpc.EnforcementLevel_ADVISORY,
		},
		{
			name: "the project's key", config: map[string]string{"dbtier:profile": "development"},
			want: pulumirpc.EnforcementLevel_ADVISORY,
		},
		{name: "own key first", config: map[string]string{
			"dbtier-policy:profile": "production", "dbtier:profile": "development",
		}, want: pulumirpc.EnforcementLevel_MANDATORY},
		{
			name: "tag", tags: map[string]string{"dbtier-policy:profile": "development"},
			want: pulumirpc.EnforcementLevel_ADVISORY,
		},
		{name: "environment", environment: "development", want: pulumirpc.EnforcementLevel_ADVISORY},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv(pack.ProfileVariable, c.environment)
			server, err := analyzer.New(registry.Pack(), nil)
			require.NoError(t, err)
			_, err = server.ConfigureStack(t.Context(),
				&pulumirpc.AnalyzerStackConfigureRequest{Config: c.config, Tags: c.tags})
			require.NoError(t, err)
			info, err := server.GetAnalyzerInfo(t.Context(), &emptypb.Empty{})
			require.NoError(t, err)
			at := slices.IndexFunc(info.GetPolicies(),
				func(p *pulumirpc.PolicyInfo) bool { return p.GetName() == "rds-iam-authentication" })
			assert.Equal(t, c.want, info.GetPolicies()[at].GetEnforcementLevel())
		})
	}
	server, err := analyzer.New(registry.Pack(), nil)
	require.NoError(t, err)
	_, err = server.ConfigureStack(t.Context(),
		&pulumirpc.AnalyzerStackConfigureRequest{Config: map[string]string{"dbtier-policy:profile": "prod"}})
	require.EqualError(t, err, `dbtier-policy:profile: "prod": want production or development`)
	t.Setenv(pack.ProfileVariable, "prod")
	_, err = analyzer.New(registry.Pack(), nil)
	require.Error(t, err)
}

// `pulumi policy analyze` does not call ConfigureStack.
func TestAPackThatNoStackWasConfiguredForJudges(t *testing.T) {
	t.Parallel()
	server, err := analyzer.New(registry.Pack(), nil)
	require.NoError(t, err)
	info, err := server.GetAnalyzerInfo(t.Context(), &emptypb.Empty{})
	require.NoError(t, err)
	assert.Equal(t, registry.Name, info.GetName())
	assert.True(t, info.GetSupportsConfig())
	assert.Len(t, info.GetPolicies(), len(registry.All()))
	response, err := server.Analyze(t.Context(),
		ruletest.Request(t, instance(map[string]any{"publiclyAccessible": true})))
	require.NoError(t, err)
	assert.True(t, slices.ContainsFunc(response.GetDiagnostics(), func(d *pulumirpc.AnalyzeDiagnostic) bool {
		return d.GetPolicyName() == "rds-not-public" && d.GetEnforcementLevel() == pulumirpc.EnforcementLevel_MANDATORY
	}))
	own, err := server.GetPluginInfo(t.Context(), &emptypb.Empty{})
	require.NoError(t, err)
	assert.Equal(t, registry.Version, own.GetVersion())
}

func TestInfoTellsEverythingAboutARule(t *testing.T) {
	t.Parallel()
	server, err := analyzer.New(registry.Pack(), nil)
	require.NoError(t, err)
	info, err := server.GetAnalyzerInfo(t.Context(), &emptypb.Empty{})
	require.NoError(t, err)
	for _, p := range info.GetPolicies() {
		r := registry.Find(p.GetName())
		assert.Equal(t, r.Summary, p.GetDescription())
		assert.Equal(t, r.Fix, p.GetRemediationSteps())
		assert.Equal(t, r.Why, p.GetMessage())
		assert.Subset(t, p.GetTags(), r.IDs)
		assert.NotEqual(t, pulumirpc.PolicyType_POLICY_TYPE_UNKNOWN, p.GetPolicyType())
		assert.NotEqual(t, pulumirpc.PolicySeverity_POLICY_SEVERITY_UNSPECIFIED, p.GetSeverity())
		schema := p.GetConfigSchema().GetProperties().AsMap()
		assert.Contains(t, schema, "exceptions")
		for _, knob := range r.Knobs {
			assert.Contains(t, schema, knob.Name)
		}
	}
}

func TestTheDefaultsOfEverySchemaAreTaken(t *testing.T) {
	t.Parallel()
	for _, r := range registry.All() {
		properties := map[string]any{}
		for name, schema := range r.ConfigSchema() {
			if value, ok := schema.(map[string]any)["default"]; ok {
				properties[name] = value
			}
		}
		assert.Empty(t, r.CheckConfig(properties), r.Name)
	}
}

func TestTheConfigIsRefusedWithAllItsFaults(t *testing.T) {
	t.Parallel()
	rules := []*rule.Rule{
		registry.Find("rds-backup-retention"), registry.Find("k8s-image-registry"),
		registry.Find("rds-not-public"),
	}
	server, _ := ruletest.Server(t, ruletest.Setup{}, rules...)
	err := ruletest.Configure(t.Context(), server, ruletest.Setup{Config: map[string]map[string]any{
		"rds-backup-retention": {"minimumDays": "seven", "days": 3, "exceptions": []any{
			map[string]any{"resource": "database", "owner": " ", "expires": "soon", "approved": true}, "database",
		}},
		"k8s-image-registry": {"registries": []any{1}},
		"rds-not-public":     {"exceptions": "none"},
	}}, rules)
	require.Error(t, err)
	assert.Equal(t, []string{
		"the policy config:",
		"k8s-image-registry.registries: [1]: want a list of strings",
		"rds-backup-retention.days: is not a setting of this rule: want exceptions, minimumDays, checkReadReplicas",
		"rds-backup-retention.exceptions[0].approved: is not a field of an exception: want resource, owner, reason " +
			"and expires",
		`rds-backup-retention.exceptions[0].expires: "soon": want a date such as 2027-03-31`,
		"rds-backup-retention.exceptions[0].owner: is required",
		"rds-backup-retention.exceptions[0].reason: is required",
		"rds-backup-retention.exceptions[1]: want an object with resource, owner, reason and expires",
		"rds-backup-retention.minimumDays: seven: want a number",
		"rds-not-public.exceptions: want a list",
	}, strings.Split(strings.ReplaceAll(err.Error(), "\n  ", "\n"), "\n"))
}

func TestAnExceptionLetsOneResourcePassUntilItsLastDay(t *testing.T) {
	t.Parallel()
	const name = "rds-not-public"
	public := instance(map[string]any{"publiclyAccessible": true})
	other := &ruletest.Resource{Type: instanceType, Name: "other", Inputs: public.Inputs}
	for what, resource := range map[string]string{
		"name": "database", "type and name": instanceType + "::database",
		"URN": instanceURN,
	} {
		config := exception(func(e map[string]any) { e["resource"] = resource })
		answer := judge(t, ruletest.Setup{Profile: rule.Production, Config: map[string]map[string]any{name: config}},
			name, public, other)
		require.Len(t, answer.Diagnostics, 2, what)
		assert.Equal(t, pulumirpc.EnforcementLevel_ADVISORY, answer.Diagnostics[0].GetEnforcementLevel(), what)
		assert.Contains(t, answer.Diagnostics[0].GetMessage(),
			"allowed until 2027-03-31 by team-orders: migration under way")
		assert.Equal(t, pulumirpc.EnforcementLevel_MANDATORY, answer.Diagnostics[1].GetEnforcementLevel(),
			"the other resource has no exception")
	}
	// It is 2027-01-15 in tests.
	today := exception(func(e map[string]any) { e["expires"] = "2027-01-15" })
	assert.Empty(t, judge(t, ruletest.Setup{Config: map[string]map[string]any{name: today}}, name, public).Mandatory(),
		"the last day")
}

func TestExceptionsStandInTheStacksConfigToo(t *testing.T) {
	t.Parallel()
	const name = "rds-not-public"
	server, err := analyzer.New(registry.Pack(), nil)
	require.NoError(t, err)
	configure := func(exceptions string) error {
		_, err := server.ConfigureStack(t.Context(), &pulumirpc.AnalyzerStackConfigureRequest{
			Config: map[string]string{pack.ExceptionsKey: exceptions},
		})
		return err
	}
	level := func() pulumirpc.EnforcementLevel {
		response, err := server.Analyze(t.Context(),
			ruletest.Request(t, instance(map[string]any{"publiclyAccessible": true})))
		require.NoError(t, err)
		at := slices.IndexFunc(response.GetDiagnostics(),
			func(d *pulumirpc.AnalyzeDiagnostic) bool { return d.GetPolicyName() == name })
		require.GreaterOrEqual(t, at, 0)
		return response.GetDiagnostics()[at].GetEnforcementLevel()
	}
	assert.Equal(t, pulumirpc.EnforcementLevel_MANDATORY, level())
	// YAML without quotes makes a time of the date.
	require.NoError(t, configure(`{"rds-not-public":[{"resource":"database","owner":"team-orders","reason":"a test",`+
		`"expires":"2999-03-31T00:00:00Z"}]}`))
	assert.Equal(t, pulumirpc.EnforcementLevel_ADVISORY, level())
	require.EqualError(t, configure(`{"rds-public":[{"resource":"a","owner":"b","reason":"c"}],"rds-not-public":[{"resource":"database","reason":"a test",`+
		`"expires":"soon"}]}`), "dbtier-policy:exceptions:\n"+
		"  rds-not-public.exceptions[0].owner: is required\n"+
		"  rds-not-public.exceptions[0].expires: \"soon\": want a date such as 2027-03-31\n"+
		"  rds-public: is not a rule of this pack: see `dbtier policy list`\n"+
		"  rds-public.exceptions[0].expires: is required")
	require.ErrorContains(t, configure(`[1]`), "want a list of exceptions for each rule")
}

func TestAnExceptionForAResourceThatIsNotThereIsTold(t *testing.T) {
	t.Parallel()
	setup := ruletest.Setup{Config: map[string]map[string]any{
		"rds-not-public": exception(func(e map[string]any) { e["resource"] = "databse" }),
	}}
	answer := ruletest.Judge(t, setup, []*rule.Rule{registry.Find("rds-not-public"), registry.Find("exceptions-used")},
		instance(nil))
	require.Len(t, answer.Diagnostics, 1)
	assert.Equal(t, pulumirpc.EnforcementLevel_ADVISORY, answer.Diagnostics[0].GetEnforcementLevel())
	assert.Contains(t, answer.Diagnostics[0].GetMessage(),
		"rds-not-public: the exception of team-orders is for databse, which the stack does not have")
}

func TestAnExpiredExceptionFailsEvenWhereNothingBreaksItsRule(t *testing.T) {
	t.Parallel()
	const name = "rds-iam-authentication"
	setup := ruletest.Setup{Profile: rule.Development, Config: map[string]map[string]any{
		name: exception(func(e map[string]any) { e["expires"] = "2027-01-14" }),
	}}
	kept := judge(t, setup, name, instance(map[string]any{"iamDatabaseAuthenticationEnabled": true})).Mandatory()
	require.Len(t, kept, 1)
	assert.Contains(t, kept[0], "exceptions-current")
	assert.Contains(t, kept[0],
		"rds-iam-authentication: the exception of team-orders for database expired on 2027-01-14 (migration under way)")
	broken := judge(t, setup, name, instance(nil)).Violations(name)
	require.Len(t, broken, 1)
	assert.Contains(t, broken[0], "the exception of team-orders for this resource expired on 2027-01-14")
}

func TestKnobsChangeWhatARuleDemands(t *testing.T) {
	t.Parallel()
	setup := ruletest.Setup{Config: map[string]map[string]any{"rds-backup-retention": {"minimumDays": 30.0}}}
	found := judge(t, setup, "rds-backup-retention",
		instance(map[string]any{"backupRetentionPeriod": 14})).Violations("rds-backup-retention")
	require.Len(t, found, 1)
	assert.Contains(t, found[0], "backupRetentionPeriod: 14: want at least 30 days")
}

func TestAResourceThatNoRuleKnowsCostsNothing(t *testing.T) {
	server, _ := ruletest.Server(t, ruletest.Setup{}, registry.All()...)
	request := &pulumirpc.AnalyzeRequest{
		Type: "aws:s3/bucket:Bucket", Name: "a",
		Urn: "urn:pulumi:test::test::aws:s3/bucket:Bucket::a",
	}
	allocations := testing.AllocsPerRun(100, func() {
		response, err := server.Analyze(t.Context(), request)
		require.NoError(t, err)
		assert.Empty(t, response.GetDiagnostics())
	})
	assert.Less(t, allocations, 10.0)
}

// remedied returns the remediations of a resource when a rule has the given level.
func remedied(t *testing.T, name string, r *ruletest.Resource, level string) []*pulumirpc.Remediation {
	t.Helper()
	rules := []*rule.Rule{registry.Find(name)}
	server, _ := ruletest.Server(t, ruletest.Setup{
		Config: map[string]map[string]any{name: {"enforcementLevel": level}},
	}, rules...)
	response, err := server.Remediate(t.Context(), ruletest.Request(t, r))
	require.NoError(t, err)
	return response.GetRemediations()
}

func TestARemediationPutsRightWhatItsRuleFindsAndNothingElse(t *testing.T) {
	t.Parallel()
	pod := func(spec map[string]any) map[string]any {
		return map[string]any{
			"metadata": map[string]any{"name": "a"},
			"spec":     map[string]any{"template": map[string]any{"spec": spec}},
		}
	}
	secret := ruletest.Secret{Value: "hunter22"}
	for _, c := range []struct {
		rule, resourceType string
		inputs, want       map[string]any
	}{
		{
			"rds-copy-tags", instanceType,
			map[string]any{"password": secret, "kmsKeyId": ruletest.Unknown{}},
			map[string]any{"copyTagsToSnapshot": true, "password": secret, "kmsKeyId": ruletest.Unknown{}},
		},
		{
			"kms-description", "aws:kms/key:Key",
			map[string]any{"policy": "{}"},
			map[string]any{"description": "Key made", "policy": "{}"},
		},
		{
			"secret-description", "aws:secretsmanager/secret:Secret",
			map[string]any{"name": "a"},
			map[string]any{"description": "Secret made", "name": "a"},
		},
		{
			"iam-role-description", "aws:iam/role:Role",
			map[string]any{"name": "a"},
			map[string]any{"description": "Role made", "name": "a"},
		},
		{
			"network-rule-description", "aws:ec2/securityGroup:SecurityGroup",
			map[string]any{"ingress": []any{map[string]any{"fromPort": 1.0}, map[string]any{"description": "kept"}}},
			map[string]any{"ingress": []any{
				map[string]any{"fromPort": 1.0, "description": "Rule of made"},
				map[string]any{"description": "kept"},
			}},
		},
		{
			"network-rule-description", "aws:ec2/securityGroupRule:SecurityGroupRule",
			map[string]any{"type": "ingress"},
			map[string]any{"type": "ingress", "description": "Rule of made"},
		},
		{
			"k8s-service-account-token", "kubernetes:core/v1:ServiceAccount",
			map[string]any{"metadata": map[string]any{"name": "a"}},
			map[string]any{"metadata": map[string]any{"name": "a"}, "automountServiceAccountToken": false},
		},
		{
			"k8s-service-account-token", "kubernetes:apps/v1:Deployment",
			pod(map[string]any{"serviceAccountName": "a"}),
			pod(map[string]any{"serviceAccountName": "a", "automountServiceAccountToken": false}),
		},
		{
			"k8s-service-account-token", "kubernetes:batch/v1:CronJob",
			map[string]any{"spec": map[string]any{"jobTemplate": map[string]any{
				"spec": map[string]any{"template": map[string]any{"spec": map[string]any{}}},
			}}},
			map[string]any{"spec": map[string]any{"jobTemplate": map[string]any{
				"spec": map[string]any{"template": map[string]any{
					"spec": map[string]any{"automountServiceAccountToken": false},
				}},
			}}},
		},
	} {
		t.Run(c.rule+"/"+c.resourceType, func(t *testing.T) {
			t.Parallel()
			r := &ruletest.Resource{Type: c.resourceType, Name: "made", Inputs: c.inputs}
			done := remedied(t, c.rule, r, "remediate")
			require.Len(t, done, 1)
			assert.Equal(t, c.want, decoded(t, done[0]))
			again := r.Clone()
			again.Inputs = c.want
			assert.Empty(t, remedied(t, c.rule, again, "remediate"), "nothing is left to remediate")
			assert.Empty(t, judge(t, ruletest.Setup{
				Config: map[string]map[string]any{c.rule: {"enforcementLevel": "mandatory"}},
			}, c.rule, again).Diagnostics)
			assert.Empty(t, remedied(t, c.rule, r, "mandatory"), "only the level remediate changes inputs")
		})
	}
}

func decoded(t *testing.T, r *pulumirpc.Remediation) map[string]any {
	t.Helper()
	properties, err := plugin.UnmarshalProperties(r.GetProperties(),
		plugin.MarshalOptions{KeepUnknowns: true, KeepSecrets: true})
	require.NoError(t, err)
	return ruletest.Plain(properties)
}

func TestTagsOfTheProviderCountAndMissingOnesAreAdded(t *testing.T) {
	t.Parallel()
	rules := []*rule.Rule{registry.Find("aws-tags")}
	key := &ruletest.Resource{
		Type: "aws:kms/key:Key", Name: "made",
		Inputs: map[string]any{"tags": map[string]any{"service": "orders"}},
	}
	config := map[string]map[string]any{"aws-tags": {
		"enforcementLevel": "remediate", "values": []any{"environment=prod", "service=other", "team=x"},
	}}
	server, _ := ruletest.Server(t, ruletest.Setup{Config: config}, rules...)
	response, err := server.Remediate(t.Context(), ruletest.Request(t, key))
	require.NoError(t, err)
	require.Len(t, response.GetRemediations(), 1)
	assert.Equal(t, map[string]any{"tags": map[string]any{"service": "orders", "environment": "prod"}},
		decoded(t, response.GetRemediations()[0]))

	request := ruletest.Request(t, key)
	answer, err := server.Analyze(t.Context(), request)
	require.NoError(t, err)
	require.Len(t, answer.GetDiagnostics(), 1)
	assert.Contains(t, answer.GetDiagnostics()[0].GetMessage(), "tags: lacks environment")
	for _, defaults := range []any{
		`{"tags":{"environment":"prod"}}`,
		map[string]any{"tags": map[string]any{"environment": "prod"}},
	} {
		request.Provider = &pulumirpc.AnalyzerProviderResource{
			Properties: ruletest.Encode(t, map[string]any{"region": "eu-west-1", "defaultTags": defaults}),
		}
		answer, err = server.Analyze(t.Context(), request)
		require.NoError(t, err)
		assert.Empty(t, answer.GetDiagnostics(), "%v", defaults)
	}
}

func TestARemediationLeavesWhatIsNotKnownToTheUpdate(t *testing.T) {
	t.Parallel()
	assert.Empty(t, remedied(t, "rds-copy-tags", instance(map[string]any{"copyTagsToSnapshot": ruletest.Unknown{}}),
		"remediate"))
}

func TestASecretThatTheEngineCouldNotDecryptIsNotJudged(t *testing.T) {
	t.Parallel()
	redacted := instance(map[string]any{
		"masterUserSecretKmsKeyId": "a",
		"username":                 ruletest.Secret{Value: "[secret]"},
	})
	answer := judge(t, ruletest.Setup{Update: true, Profile: rule.Production}, "rds-admin-name", redacted)
	require.Len(t, answer.Diagnostics, 1)
	assert.Equal(t, pulumirpc.EnforcementLevel_ADVISORY, answer.Diagnostics[0].GetEnforcementLevel())
	assert.Contains(t, answer.Diagnostics[0].GetMessage(), "username: is not known, so this rule was not evaluated")
}

// TestTheEnginesOwnClientUnderstandsThePack uses the engine's client, over gRPC.
func TestTheEnginesOwnClientUnderstandsThePack(t *testing.T) {
	t.Parallel()
	client := plugin.NewAnalyzerWithClient("pack", serve(t))
	info, err := client.GetAnalyzerInfo(t.Context())
	require.NoError(t, err)
	assert.Equal(t, registry.Name, info.Name)
	answer, err := client.Analyze(t.Context(), plugin.AnalyzerResource{
		URN: instanceURN, Type: instanceType, Name: "database",
		Properties: resource.PropertyMap{
			"publiclyAccessible": resource.NewProperty(true),
			"kmsKeyId":           resource.MakeComputed(resource.NewProperty("")),
		},
	})
	require.NoError(t, err)
	assert.True(t, slices.ContainsFunc(answer.Diagnostics,
		func(d plugin.AnalyzeDiagnostic) bool { return d.PolicyName == "rds-not-public" }))
	_, err = client.AnalyzeStack(t.Context(), nil)
	require.NoError(t, err)
	require.NoError(t, client.Cancel(context.WithoutCancel(t.Context())))
}
