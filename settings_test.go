package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"dbtier/components/componenttest"
	"dbtier/components/fault"
	"dbtier/components/rdsca"
	"dbtier/config"
	"dbtier/policy/registry"
	"dbtier/policy/rule"
	"dbtier/policy/ruletest"
)

//go:generate env UPDATE_GOLDEN=1 go test -vet=off -count=1 -timeout 60m -run ^TestEverySettingCanBeUsed$ .

// setting is a key of a stack's file that takes a value.
type setting struct {
	// path has [] for an element of a list: pool.logins[].name.
	path string
	// steps lead to it from the config, through the first element of each list.
	steps []any
	// values are its example, and then its other choices.
	values []any
}

// at is the path as faults write it: pool.logins[0].name.
func (s *setting) at() string { return strings.ReplaceAll(s.path, "[]", "[0]") }

// keywords are those of config/schema.json that say which settings there are.
type keywords struct {
	Type                 string
	Enum                 []any
	Examples             []any
	Properties           map[string]*keywords
	Items                *keywords
	AdditionalProperties json.RawMessage
}

// settingsOf returns every setting of config/schema.json.
func settingsOf(t *testing.T) []*setting {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("config", "schema.json"))
	require.NoError(t, err)
	var root keywords
	require.NoError(t, json.Unmarshal(text, &root))
	var found []*setting
	for key, section := range root.Properties["config"].Properties {
		found = append(found, section.settings(t, strings.TrimPrefix(key, config.Namespace+":"), []any{key})...)
	}
	slices.SortFunc(found, func(a, b *setting) int { return cmp.Compare(a.path, b.path) })
	return found
}

func (k *keywords) settings(t *testing.T, path string, steps []any) []*setting {
	t.Helper()
	var found []*setting
	element := func(of *keywords, path string, steps ...any) {
		for key, property := range of.Properties {
			found = append(found, property.settings(t, path+"."+key, append(slices.Clone(steps), key))...)
		}
	}
	var values *keywords
	if k.AdditionalProperties != nil {
		_ = json.Unmarshal(k.AdditionalProperties, &values) // false says that there are no others
	}
	switch {
	case k.Properties != nil:
		element(k, path, steps...)
	case k.Items != nil && k.Items.Properties != nil:
		element(k.Items, path+"[]", append(slices.Clone(steps), 0)...)
	case values != nil && values.Properties != nil:
		require.Len(t, k.Examples, 1, path)
		for key := range k.Examples[0].(map[string]any) {
			element(values, path+"."+key, append(slices.Clone(steps), key)...)
		}
	default:
		require.Len(t, k.Examples, 1, "%s has no example", path)
		s := &setting{path: path, steps: steps, values: slices.Clone(k.Examples)}
		choices := k.Enum
		if k.Type == "boolean" {
			choices = []any{true, false}
		}
		for _, choice := range choices {
			if choice != s.values[0] {
				s.values = append(s.values, choice)
			}
		}
		found = append(found, s)
	}
	return found
}

// choice is a setting with a value.
type choice struct {
	*setting
	value any
}

func (c choice) String() string { return fmt.Sprintf("%s: %v", c.path, c.value) }

func (s *setting) example() choice { return choice{s, s.values[0]} }

// choices are the setting with each of its values.
func (s *setting) choices() []choice {
	var all []choice
	for _, value := range s.values {
		all = append(all, choice{s, value})
	}
	return all
}

// invalid is the setting with a value of its type that no validation accepts. It is not ok for a boolean.
func (s *setting) invalid() (c choice, ok bool) {
	switch s.values[0].(type) {
	case float64:
		return choice{s, -1 << 31}, true
	case string:
		return choice{s, "\x01"}, true
	case []any:
		return choice{s, []any{"\x01"}}, true
	case map[string]any:
		return choice{s, map[string]any{"\x01": "\x01"}}, true
	default:
		return choice{}, false
	}
}

// trial is a stack of this folder to which choices are added, in a project with the files that examples name.
type trial struct {
	stack, root string
	tree        map[string]any
	byPath      map[string]*setting
	// policies is the policy config.
	policies map[string]map[string]any

	mu sync.Mutex
	// known are the results by what is the same in two runs: the mode and the whole config with its defaults.
	known map[string]*deployed
	// accepted are the choices with which a config has no fault.
	accepted map[string]bool
}

func newTrial(t *testing.T, stack string, settings []*setting) *trial {
	t.Helper()
	text, err := os.ReadFile("Pulumi." + stack + ".yaml")
	require.NoError(t, err)
	var file struct{ Config map[string]any }
	require.NoError(t, yaml.Unmarshal(text, &file))
	tr := &trial{
		stack: stack, root: t.TempDir(), tree: file.Config, byPath: map[string]*setting{},
		known: map[string]*deployed{}, accepted: map[string]bool{},
	}
	for _, s := range settings {
		tr.byPath[s.at()] = s
	}
	authorities, err := rdsca.Bundle("us-east-1")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(tr.root, "authorities.pem"), []byte(authorities), 0o600))
	return tr
}

// behindProxy gives a stack RDS Proxy as its pool.
func behindProxy(tree map[string]any) {
	tree["dbtier:pool"] = map[string]any{"kind": "rdsProxy"}
	tree["dbtier:role"] = map[string]any{
		"image": "123456789012.dkr.ecr.ap-northeast-2.amazonaws.com/pgbouncer:1.24.1-1_deb13u2",
	}
}

// with returns the stack's config with the choices. An example of AWS is of the stack's own account.
func (tr *trial) with(choices ...choice) map[string]any {
	account, _ := componenttest.At(tr.tree, "dbtier:aws", "accountId").(string)
	changed := &ruletest.Resource{Inputs: tr.tree}
	for _, c := range choices {
		changed = ruletest.Set(inAccount(c.value, account), c.steps...).On(changed)
	}
	return changed.Inputs
}

func inAccount(value any, account string) any {
	switch value := value.(type) {
	case string:
		return strings.ReplaceAll(value, "123456789012", account)
	case []any:
		list := slices.Clone(value)
		for i := range list {
			list[i] = inAccount(list[i], account)
		}
		return list
	case map[string]any:
		object := map[string]any{}
		for key, inner := range value {
			object[key] = inAccount(inner, account)
		}
		return object
	}
	return value
}

// texts are the values of a config as Pulumi passes them to a program.
func texts(t *testing.T, tree map[string]any) map[string]string {
	t.Helper()
	values := map[string]string{}
	for key, value := range tree {
		if plain, ok := value.(string); ok {
			values[key] = plain
			continue
		}
		encoded, err := json.Marshal(value)
		require.NoError(t, err)
		values[key] = string(encoded)
	}
	return values
}

// parse returns the config with the choices, and its faults.
func (tr *trial) parse(t *testing.T, choices ...choice) (*config.Stack, []fault.Fault) {
	t.Helper()
	values := config.Values{File: "Pulumi." + tr.stack + ".yaml", Keys: map[string]config.Value{}}
	for key, text := range texts(t, tr.with(choices...)) {
		values.Keys[strings.TrimPrefix(key, config.Namespace+":")] = config.Value{Text: text}
	}
	stack, err := config.Parse(values, func(stack string) (config.Outputs, error) {
		return config.Outputs{Values: others[stack]}, nil
	})
	var invalid *config.InvalidError
	if errors.As(err, &invalid) {
		return stack, invalid.Faults
	}
	require.NoError(t, err)
	return stack, nil
}

// others are the stacks that the examples refer to, with their outputs.
var others = map[string]map[string]any{
	"organization/network/production": {
		"vpcId": "vpc-0b1c2d3e4f5a6b7c8", "vpc": "vpc-0b1c2d3e4f5a6b7c8",
		"subnetIds":       []any{"subnet-0b1c2d3e4f5a6b7c1", "subnet-0b1c2d3e4f5a6b7c2"},
		"databaseSubnets": []any{"subnet-0b1c2d3e4f5a6b7c1", "subnet-0b1c2d3e4f5a6b7c2"},
		"databaseCidrs":   []any{"10.0.192.0/20"}, "databaseRanges": []any{"10.0.192.0/20"},
	},
	"organization/eks/production": {
		"oidcProviderArn":     oidcProvider,
		"oidcProvider":        oidcProvider,
		"nodeSecurityGroupId": "sg-0b1c2d3e4f5a6b7c9", "nodeGroup": "sg-0b1c2d3e4f5a6b7c9",
	},
}

const oidcProvider = "arn:aws:iam::123456789012:oidc-provider/oidc.eks.ap-northeast-2.amazonaws.com/id/0A1B2C3D4E5F"

// complete adds what else an element of a list or map needs in which a choice is, by examples, and returns the faults
// that are left.
func (tr *trial) complete(t *testing.T, choices ...choice) (complete []choice, faults []fault.Fault) {
	t.Helper()
	complete = choices
	for {
		_, faults = tr.parse(t, complete...)
		missing := slices.IndexFunc(faults, func(f fault.Fault) bool { return tr.sibling(f.Path, complete) != nil })
		if missing < 0 {
			return complete, faults
		}
		complete = append(slices.Clip(complete), tr.sibling(faults[missing].Path, complete).example())
	}
}

// sibling returns the setting with a path if it is not among the choices, but in the element of one.
func (tr *trial) sibling(path string, choices []choice) *setting {
	found := tr.byPath[path]
	if found == nil {
		return nil
	}
	depth := len(found.steps) - 1
	in := false
	for _, c := range choices {
		if c.setting == found {
			return nil
		}
		in = in || depth > 1 && len(c.steps) > depth && slices.Equal(c.steps[:depth], found.steps[:depth])
	}
	if !in {
		return nil
	}
	return found
}

// names reports whether a fault names one of the choices: by its path, by that of the object that it is in, or in words.
func names(f fault.Fault, choices []choice) bool {
	return slices.ContainsFunc(choices, func(c choice) bool {
		rest, below := strings.CutPrefix(f.Path, c.at())
		parent := c.at()[:max(0, strings.LastIndex(c.at(), "."))]
		return below && (rest == "" || rest[0] == '.' || rest[0] == '[') || f.Path == parent ||
			c.word().MatchString(f.Reason)
	})
}

// word matches the setting's key.
func (s *setting) word() *regexp.Regexp {
	key := strings.TrimPrefix(fmt.Sprint(s.steps[len(s.steps)-1]), config.Namespace+":")
	return regexp.MustCompile(`\b` + regexp.QuoteMeta(key) + `\b`)
}

// deployed is a stack with choices, deployed and judged by every policy.
type deployed struct {
	// violations are the messages of policies, by rule and resource.
	violations map[string]string
	// mandatory are the keys of violations that stop a run.
	mandatory map[string]bool
	// properties are the inputs of every resource, by resource and path.
	properties map[string]string
	resources  map[string]bool
}

// deploy returns nil if the config has faults. Each of them must name a choice.
func (tr *trial) deploy(t *testing.T, update bool, choices ...choice) *deployed {
	t.Helper()
	all, faults := tr.complete(t, choices...)
	for _, f := range faults {
		assert.True(t, names(f, choices), "with %v this fault does not name the setting: %s", choices, f)
	}
	if len(faults) > 0 {
		return nil
	}
	stack, _ := tr.parse(t, all...)
	text, err := json.Marshal(stack)
	require.NoError(t, err)
	key := fmt.Sprint(update, string(text))
	tr.mu.Lock()
	for _, c := range all {
		tr.accepted[c.String()] = true
	}
	known := tr.known[key]
	tr.mu.Unlock()
	if known != nil {
		return known
	}
	d := tr.run(t, update, rule.Profile(stack.Profile), all...)
	tr.mu.Lock()
	tr.known[key] = d
	tr.mu.Unlock()
	return d
}

func (tr *trial) run(t *testing.T, update bool, profile rule.Profile, choices ...choice) *deployed {
	t.Helper()
	options := []componenttest.Option{
		componenttest.Stack(tr.stack), componenttest.Root(tr.root),
		componenttest.Config(texts(t, tr.with(choices...))),
	}
	for name, outputs := range others {
		options = append(options, componenttest.OtherStack(name, outputs))
	}
	if !update {
		options = append(options, componenttest.Preview())
	}
	recorded, err := componenttest.Try(deploy, options...)
	d := &deployed{map[string]string{}, map[string]bool{}, map[string]string{}, map[string]bool{}}
	require.NoError(t, err, "%v: the config has no fault, but the program fails", choices)
	answer := ruletest.Judge(t, ruletest.Setup{Profile: profile, Update: update, Config: tr.policies}, registry.All(), judged(recorded)...)
	for _, found := range answer.Diagnostics {
		key := found.GetPolicyName() + " " + found.GetUrn()[strings.LastIndex(found.GetUrn(), ":")+1:]
		d.violations[key] = found.GetMessage()
		d.mandatory[key] = d.mandatory[key] || found.GetEnforcementLevel() == pulumirpc.EnforcementLevel_MANDATORY
	}
	for _, r := range recorded.Each() {
		if r.Custom || r.Type == "kubernetes:helm.sh/v4:Chart" {
			d.resources[r.Name] = true
			leaves(d.properties, r.Name, "", r.Inputs)
		}
	}
	return d
}

// leaves adds the leaves of a value by their paths, as policies write them.
func leaves(into map[string]string, resource, path string, value any) {
	switch value := value.(type) {
	case map[string]any:
		if len(value) == 0 {
			into[resource+" "+path] = "{}"
		}
		for key, inner := range value {
			leaves(into, resource, strings.TrimPrefix(path+"."+key, "."), inner)
		}
	case []any:
		for i, inner := range value {
			leaves(into, resource, fmt.Sprintf("%s[%d]", path, i), inner)
		}
	default:
		into[resource+" "+path] = fmt.Sprint(value)
	}
}

// readTogether returns the pairs of settings that one validation reads: the faults of both differ from the faults of
// each, for their values, or for a switch or choice of one and an invalid value of the other. Settings of different
// sections are compared only if one of them is a switch or choice.
func (tr *trial) readTogether(t *testing.T, settings []*setting) [][2]*setting {
	t.Helper()
	faults := func(choices ...choice) map[string]bool {
		set := map[string]bool{}
		_, found := tr.complete(t, choices...)
		for _, f := range found {
			set[f.String()] = true
		}
		return set
	}
	base, _ := tr.parse(t)
	values, invalid, alone := map[*setting][]choice{}, map[*setting][]choice{}, map[string]map[string]bool{}
	for _, s := range settings {
		for _, c := range s.choices() {
			if stack, _ := tr.parse(t, c); !reflect.DeepEqual(stack, base) {
				values[s] = append(values[s], c)
			}
		}
		if c, ok := s.invalid(); ok {
			invalid[s] = append(invalid[s], c)
		}
		for _, c := range slices.Concat(values[s], invalid[s]) {
			alone[c.String()] = faults(c)
		}
	}
	differ := func(ones, others []choice) bool {
		for _, a := range ones {
			for _, b := range others {
				expected := maps.Clone(alone[a.String()])
				maps.Copy(expected, alone[b.String()])
				if !maps.Equal(expected, faults(a, b)) {
					return true
				}
			}
		}
		return false
	}
	var pairs [][2]*setting
	var mu sync.Mutex
	var workers sync.WaitGroup
	free := make(chan struct{}, runtime.GOMAXPROCS(0))
	for i, a := range settings {
		free <- struct{}{}
		workers.Go(func() {
			defer func() { <-free }()
			for _, b := range settings[:i] {
				chosen := len(a.values) > 1 || len(b.values) > 1
				if a.steps[0] != b.steps[0] && !chosen {
					continue
				}
				if differ(values[a], values[b]) || len(a.values) > 1 && differ(values[a], invalid[b]) ||
					len(b.values) > 1 && differ(invalid[a], values[b]) {
					mu.Lock()
					pairs = append(pairs, [2]*setting{a, b})
					mu.Unlock()
				}
			}
		})
	}
	workers.Wait()
	slices.SortFunc(pairs, func(a, b [2]*setting) int {
		return cmp.Or(cmp.Compare(a[0].path, b[0].path), cmp.Compare(a[1].path, b[1].path))
	})
	return pairs
}

// updatePairs is the variable that makes the test find the pairs again. It takes minutes, so make generate does not.
const updatePairs = "UPDATE_PAIRS"

// pairs returns the pairs of settings that one validation reads, from tests/golden/pairs.txt: finding them takes longer
// than judging them.
func (tr *trial) pairs(t *testing.T, settings []*setting) [][2]*setting {
	t.Helper()
	file := filepath.Join("tests", "golden", "pairs.txt")
	if os.Getenv(updatePairs) != "" {
		var out bytes.Buffer
		pairs := tr.readTogether(t, settings)
		for _, pair := range pairs {
			fmt.Fprintln(&out, pair[0].path, pair[1].path)
		}
		require.NoError(t, os.WriteFile(file, out.Bytes(), 0o600))
		return pairs
	}
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	byPath := map[string]*setting{}
	for _, s := range settings {
		byPath[s.path] = s
	}
	var pairs [][2]*setting
	for line := range strings.Lines(string(text)) {
		paths := strings.Fields(line)
		pair := [2]*setting{byPath[paths[0]], byPath[paths[1]]}
		require.NotContains(t, pair, (*setting)(nil), "%s: run the test with %s=1", line, updatePairs)
		pairs = append(pairs, pair)
	}
	return pairs
}

// lowering are the choices that lower a guard, and the policies that then stop a run of a production stack. Each of
// them needs an exception with an owner, a reason and a last day.
var lowering = map[string][]string{
	"database.autoMinorVersionUpgrade: false":                           {"rds-auto-minor-version"},
	"database.deleteAutomatedBackups: true":                             {"rds-keep-automated-backups"},
	"database.deletionProtection: false":                                {"rds-deletion-protection"},
	"database.engineLifecycleSupport: open-source-rds-extended-support": {"rds-extended-support"},
	"database.finalSnapshot: false":                                     {"rds-final-snapshot"},
	"database.iamDatabaseAuthentication: false":                         {"rds-iam-authentication"},
	"database.kmsDeletionWindow: 14":                                    {"kms-deletion-window"},
	"database.multiAz: false":                                           {"rds-multi-az"},
	"database.performanceInsights: false":                               {"rds-performance-insights"},
	"proxy.debugLogging: true":                                          {"rds-proxy-no-debug-logging"},
}

// unusable are the choices that no stack on AWS can have, and why.
var unusable = map[string]string{
	"database.blueGreenUpdate: true":          "exists for its error message",
	"database.replicateSourceDb: myshop-prod": "exists for its error message",

	"cloud: local":                         "the stack local",
	"aws.endpoint: http://127.0.0.1:14566": "the stack local",

	"aws.clusterEndpoint: http://aws.localcloud.internal:4566": "the stack local",
}

// together are the choices that need other settings, which this test does not know, and the tests that use them.
var together = map[string]string{
	"aws.partition: aws-cn":                                         "config.TestRegionPartitionAndProviderAgree",
	"aws.partition: aws-us-gov":                                     "config.TestRegionPartitionAndProviderAgree",
	"cluster.stackReference.nodeSecurityGroupId: nodeGroup":         "TestGolden/services",
	"cluster.stackReference.stack: organization/eks/production":     "TestGolden/services",
	"network.stackReference.databaseCidrs: databaseRanges":          "TestGolden/services",
	"network.stackReference.stack: organization/network/production": "TestGolden/services",
	"database.dedicatedLogVolume: true":                             "rdspostgres.TestInsightsVolumesZonesAndNetworksArePassedOn",
	"database.networkType: DUAL":                                    "rdspostgres.TestInsightsVolumesZonesAndNetworksArePassedOn",
	"database.storageType: io1":                                     "rdspostgres.TestSettingsOneByOne",
	"database.storageType: io2":                                     "rdspostgres.TestInsightsVolumesZonesAndNetworksArePassedOn",
	"pool.kind: rdsProxy":                                           "TestGolden/proxy",
	"proxy.iamAuth: REQUIRED":                                       "TestGolden/proxy",
}

// invisible are the settings that change no property of a resource, and why.
var invisible = map[string]string{
	"aws.accountId":           inWhichCloud,
	"aws.clusterEndpoint":     inWhichCloud,
	"aws.endpoint":            inWhichCloud,
	"aws.partition":           inWhichCloud,
	"aws.region":              inWhichCloud,
	"cloud":                   inWhichCloud,
	"cluster.oidcProviderArn": inWhichCloud,

	"cluster.stackReference.nodeSecurityGroupId": ofOtherStack,
	"cluster.stackReference.oidcProviderArn":     ofOtherStack,
	"cluster.stackReference.stack":               ofOtherStack,
	"network.stackReference.databaseCidrs":       ofOtherStack,
	"network.stackReference.stack":               ofOtherStack,
	"network.stackReference.subnetIds":           ofOtherStack,
	"network.stackReference.vpcId":               ofOtherStack,

	"consumer.connections":             inBudget,
	"drills.connections":               inBudget,
	"iam.connections":                  inBudget,
	"migration.connections":            inBudget,
	"network.directClients[].replicas": inBudget,

	"database.timeouts.create": "an option of the resource",
	"database.timeouts.delete": "an option of the resource",
	"database.timeouts.update": "an option of the resource",

	"database.blueGreenUpdate":   "exists for its error message",
	"database.replicateSourceDb": "exists for its error message",

	"drift.heal":      "is read by the driver only",
	"secrets.binding": "has one choice",
	"operator.chart":  "has the default as its example: an offline preview has no other chart",

	"database.networkType":        needsOthers,
	"pool.kind":                   needsOthers,
	"proxy.iamAuth":               needsOthers,
	"secrets.further[].mountPath": needsOthers,
}

const (
	inWhichCloud = "says in which account and cluster the stack is; nearly every property differs elsewhere"
	ofOtherStack = "names an output of another stack, which has the same value in this test"
	inBudget     = "is only counted in the budget of connections"
	needsOthers  = "needs settings that exclude those of the stacks of this test"
)

// TestEverySettingCanBeUsed tries every setting of the schema with its example and its other choices, and judges the
// stack with every policy. It tries each setting alone in both profiles, as preview and as update, and each pair that
// one validation reads together as an update of production, to stay within a minute. The result is accepted, or a
// config fault that names the setting. A policy stops a run only where the setting lowers a guard.
func TestEverySettingCanBeUsed(t *testing.T) {
	settings := settingsOf(t)
	prod, dev := newTrial(t, "prod", settings), newTrial(t, "dev", settings)
	proxy := newTrial(t, "prod", settings)
	behindProxy(proxy.tree)
	var pairs [][2]*setting
	var tried [][]choice
	if !raceDetector {
		// The race detector makes a stack ten times as expensive, and what it looks for does not depend on a choice. It
		// gets the stacks with everything set.
		pairs = prod.pairs(t, settings)
		for _, s := range settings {
			for _, c := range s.choices() {
				tried = append(tried, []choice{c})
			}
		}
	}
	for _, pair := range pairs {
		for _, a := range pair[0].choices() {
			for _, b := range pair[1].choices() {
				tried = append(tried, []choice{a, b})
			}
		}
	}
	record := newRecord()
	t.Run("each", func(t *testing.T) {
		for _, choices := range tried {
			t.Run(fmt.Sprint(choices), func(t *testing.T) {
				t.Parallel()
				trials := []*trial{prod}
				switch {
				case len(choices) == 1 && choices[0].steps[0] == "dbtier:proxy":
					trials = append(trials, dev, proxy)
				case len(choices) == 1:
					trials = append(trials, dev)
				}
				for _, tr := range trials {
					for _, update := range []bool{true, false} {
						d := tr.deploy(t, update, choices...)
						if d == nil {
							break
						}
						tr.requireAllowed(t, d, choices)
						if update {
							record.add(t, tr, d, choices)
						}
						if len(choices) > 1 {
							break
						}
					}
				}
			})
		}
	})
	wholes := wholeStacks(t, settings)
	for name, whole := range wholes {
		t.Run("with everything set: "+name, func(t *testing.T) {
			for _, update := range []bool{false, true} {
				d := whole.deploy(t, update)
				require.NotNil(t, d)
				whole.requireAllowed(t, d, nil)
			}
		})
	}
	var never []string
	for _, s := range settings {
		for _, c := range s.choices() {
			accepted := unusable[c.String()] != "" || together[c.String()] != ""
			for _, tr := range append(slices.Collect(maps.Values(wholes)), prod, dev, proxy) {
				accepted = accepted || tr.accepted[c.String()]
			}
			if !accepted {
				never = append(never, c.String())
			}
		}
	}
	t.Logf("%d settings, %d choices alone and with one of %d pairs", len(settings), len(tried), len(pairs))
	if !raceDetector {
		for _, s := range settings {
			record.addLeft(t, wholes, s)
		}
		assert.Empty(t, record.unknown(settings), "no stack shows what they change: give them an example that is not the"+
			" value of Pulumi.prod.yaml or the default, or say in invisible why nothing can change")
		assert.Empty(t, never, "the schema offers them, and no config with them was accepted")
		record.compare(t)
	}
}

// requireAllowed fails if a policy stops a run in which no choice lowers a guard.
func (tr *trial) requireAllowed(t *testing.T, d *deployed, choices []choice) {
	t.Helper()
	for key := range d.mandatory {
		policy, _, _ := strings.Cut(key, " ")
		allowed := slices.ContainsFunc(choices, func(c choice) bool {
			return slices.Contains(lowering[c.String()], policy)
		})
		assert.False(t, d.mandatory[key] && !allowed, "%s with %v: %s: %s", tr.stack, choices, key, d.violations[key])
	}
}

// wholeStacks are stacks in which every setting is set that does not exclude another one, by their names.
func wholeStacks(t *testing.T, settings []*setting) map[string]*trial {
	t.Helper()
	wholes := map[string]*trial{}
	for name, start := range map[string]func(tree map[string]any){
		"pgbouncer": func(map[string]any) {},
		"proxy": func(tree map[string]any) {
			behindProxy(tree)
			tree["dbtier:database"] = map[string]any{
				"storageType": "io1", "iops": 12000, "allocatedStorage": 400, "dedicatedLogVolume": true,
			}
		},
		"pod identity": func(tree map[string]any) {
			tree["dbtier:iam"] = map[string]any{"enabled": true, "binding": "podIdentity", "clusterName": "production"}
		},
		"references": func(tree map[string]any) {
			tree["dbtier:network"] = map[string]any{
				"stackReference": map[string]any{"stack": "organization/network/production"},
			}
			tree["dbtier:cluster"] = map[string]any{
				"stackReference": map[string]any{"stack": "organization/eks/production"},
			}
		},
	} {
		whole := newTrial(t, "prod", settings)
		start(whole.tree)
		for {
			before := len(whole.accepted)
			for _, s := range settings {
				c := s.example()
				// The file of authorities is not in the folder of the golden files.
				if c.value == false || whole.accepted[c.String()] || lowering[c.String()] != nil || whole.has(s) ||
					s.path == "network.caBundle" {
					continue
				}
				if all, faults := whole.complete(t, c); faults == nil {
					whole.tree = whole.with(all...)
					for _, c := range all {
						whole.accepted[c.String()] = true
					}
				}
			}
			if len(whole.accepted) == before {
				break
			}
		}
		wholes[name] = whole
		if name == "pgbouncer" || name == "proxy" { // an offline preview cannot read other stacks
			compareGolden(t, filepath.Join("tests", "golden", "everything", "Pulumi."+name+".yaml"), whole.file(t))
		}
	}
	return wholes
}

// has reports whether the stack sets the setting already.
func (tr *trial) has(s *setting) bool { return componenttest.At(tr.tree, s.steps...) != nil }

func (tr *trial) file(t *testing.T) []byte {
	t.Helper()
	var out bytes.Buffer
	out.WriteString("# Every setting that does not exclude another one, by its example. Written by `make generate`.\n")
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	require.NoError(t, encoder.Encode(map[string]any{"config": tr.tree}))
	return out.Bytes()
}

// record is what each setting changed.
type record struct {
	mu                sync.Mutex
	rules, properties map[string]map[string]bool
}

func newRecord() *record {
	return &record{rules: map[string]map[string]bool{}, properties: map[string]map[string]bool{}}
}

// add compares a stack with that without one of the choices.
func (r *record) add(t *testing.T, tr *trial, d *deployed, choices []choice) {
	t.Helper()
	alone := false
	for i, c := range choices {
		rest := slices.Delete(slices.Clone(choices), i, i+1)
		if _, faults := tr.complete(t, rest...); len(faults) > 0 {
			continue
		}
		alone = true
		r.compareStacks(c.setting, d, tr.deploy(t, true, rest...))
	}
	if alone {
		return
	}
	// They need each other.
	for _, c := range choices {
		r.compareStacks(c.setting, d, tr.deploy(t, true))
	}
}

// addLeft finds what a setting changes that changed nothing so far, because it has an effect only beside others: it
// gives it another choice in the stacks with everything set, or takes it out there, with its neighbours if they need it.
func (r *record) addLeft(t *testing.T, wholes map[string]*trial, s *setting) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(wholes)) {
		whole := wholes[name]
		if r.properties[s.path] != nil || invisible[s.path] != "" || !whole.has(s) {
			continue
		}
		var others []map[string]any
		for _, value := range s.values {
			if len(s.values) > 1 && value != componenttest.At(whole.tree, s.steps...) {
				others = append(others, whole.with(choice{s, value}))
			}
		}
		for _, steps := range [][]any{s.steps, s.steps[:len(s.steps)-1]} {
			others = append(others, ruletest.Drop(steps...).On(&ruletest.Resource{Inputs: whole.tree}).Inputs)
		}
		for _, tree := range others {
			other := &trial{stack: whole.stack, root: whole.root, tree: tree, byPath: whole.byPath, policies: whole.policies}
			if stack, faults := other.parse(t); faults == nil {
				r.compareStacks(s, whole.deploy(t, true), other.run(t, true, rule.Profile(stack.Profile)))
				break
			}
		}
	}
}

// unknown returns the settings that changed no property.
func (r *record) unknown(settings []*setting) []string {
	var unknown []string
	for _, s := range settings {
		if r.properties[s.path] == nil && invisible[s.path] == "" {
			unknown = append(unknown, s.path)
		}
	}
	return unknown
}

// compareStacks records what differs between a stack with a setting and one without it.
func (r *record) compareStacks(s *setting, d, without *deployed) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for key := range symmetric(d.violations, without.violations) {
		_, resource, _ := strings.Cut(key, " ")
		// The profile changes the levels of policies. A finding that is gone with its resource says nothing about the
		// setting.
		if s.path != "profile" && (d.resources[resource] && without.resources[resource] || d.violations[key] != "") {
			put(r.rules, key, s.path)
		}
	}
	for property := range symmetric(d.properties, without.properties) {
		resource, _, _ := strings.Cut(property, " ")
		if !d.resources[resource] || !without.resources[resource] {
			property = resource
		}
		put(r.properties, s.path, s.container(property))
	}
}

// variable matches a variable of a container.
var variable = regexp.MustCompile(`(\.env)\[\d+\]\.(name|value)$`)

// container returns the object or list that a property is in, if the setting is a map whose keys the user chooses: other
// keys become other properties of it.
func (s *setting) container(property string) string {
	chosen, ok := s.values[0].(map[string]any)
	if !ok {
		return property
	}
	for key := range chosen {
		if object, ok := strings.CutSuffix(property, "."+key); ok {
			return object
		}
	}
	return variable.ReplaceAllString(property, "$1")
}

// symmetric returns the keys with different values.
func symmetric(a, b map[string]string) map[string]bool {
	differ := map[string]bool{}
	for _, pair := range [][2]map[string]string{{a, b}, {b, a}} {
		for key, value := range pair[0] {
			if other, ok := pair[1][key]; !ok || other != value {
				differ[key] = true
			}
		}
	}
	return differ
}

func put(into map[string]map[string]bool, key, value string) {
	if into[key] == nil {
		into[key] = map[string]bool{}
	}
	into[key][value] = true
}

// compare compares what was recorded with the map of package settings, which has a line for each key.
func (r *record) compare(t *testing.T) {
	t.Helper()
	var out bytes.Buffer
	part := func(name string, of map[string]map[string]bool) {
		fmt.Fprintf(&out, "%q: {", name)
		for i, key := range slices.Sorted(maps.Keys(of)) {
			list, err := json.Marshal(slices.Sorted(maps.Keys(of[key])))
			require.NoError(t, err)
			fmt.Fprintf(&out, "%s\n%q: %s", map[bool]string{true: ","}[i > 0], key, list)
		}
		out.WriteString("\n}")
	}
	out.WriteString("{\n")
	part("rules", r.rules)
	out.WriteString(",\n")
	part("properties", r.properties)
	out.WriteString("\n}\n")
	compareGolden(t, filepath.Join("internal", "settings", "map.json"), out.Bytes())
}
