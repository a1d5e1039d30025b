package analyzer

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/plugin"
	"github.com/pulumi/pulumi/sdk/v3/go/property"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi/policyx"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/structpb"

	"dbtier/policy/rule"
)

// Pack is what a server serves.
type Pack struct {
	// Name, Version and Description of the pack.
	Name, Version, Description string
	Rules                      []*rule.Rule
	// Now is the clock by which exceptions expire. Default time.Now.
	Now func() time.Time
	// Say tells the person at the engine something that is no violation. Default: the engine's log.
	Say func(ctx context.Context, message string)
}

// served is a rule as the engine knows it.
type served struct {
	*rule.Rule
	validate  policyx.ResourceValidationPolicy
	stack     policyx.StackValidationPolicy
	remediate policyx.ResourceRemediationPolicy
}

// reads are the properties of a type that rules read; all tells that one of them reads them all.
type reads struct {
	rules []*served
	keys  map[string]bool
	all   bool
}

func (r *reads) add(s *served) {
	r.rules = append(r.rules, s)
	r.all = r.all || len(s.Needs) == 0
	for _, key := range s.Needs {
		r.keys[key] = true
	}
}

// Server is an analyzer for one engine.
type Server struct {
	pulumirpc.UnimplementedAnalyzerServer

	pack   Pack
	rules  []*served
	byType map[string]*reads
	stacks map[string]*reads

	mu      sync.Mutex
	engine  string
	profile rule.Profile
	dryRun  bool
	tags    map[string]string
	config  map[string]policyx.PolicyConfig
	waiting waiting
}

// New is a server of a pack.
func New(pack Pack) (*Server, error) {
	if pack.Now == nil {
		pack.Now = time.Now
	}
	s := &Server{pack: pack, byType: map[string]*reads{}, stacks: map[string]*reads{}}
	var err error
	// Until a stack is configured, which `pulumi policy analyze` does not do.
	if s.profile, err = profileOf(nil, nil, os.Getenv(ProfileVariable)); err != nil {
		return nil, err
	}
	for _, r := range pack.Rules {
		one := &served{Rule: r}
		for _, policy := range r.Policies() {
			switch policy := policy.(type) {
			case policyx.ResourceValidationPolicy:
				one.validate = policy
			case policyx.StackValidationPolicy:
				one.stack = policy
			case policyx.ResourceRemediationPolicy:
				one.remediate = policy
			}
		}
		table := s.byType
		if r.IsStack() {
			table = s.stacks
		}
		for _, resourceType := range r.Types {
			if table[resourceType] == nil {
				table[resourceType] = &reads{keys: map[string]bool{}}
			}
			table[resourceType].add(one)
		}
		s.rules = append(s.rules, one)
	}
	return s, nil
}

// Handshake notes where the engine is.
func (s *Server) Handshake(
	_ context.Context, req *pulumirpc.AnalyzerHandshakeRequest,
) (*pulumirpc.AnalyzerHandshakeResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.engine = req.GetEngineAddress()
	return &pulumirpc.AnalyzerHandshakeResponse{}, nil
}

// GetPluginInfo tells the pack's version.
func (s *Server) GetPluginInfo(context.Context, *emptypb.Empty) (*pulumirpc.PluginInfo, error) {
	return &pulumirpc.PluginInfo{Version: s.pack.Version}, nil
}

// ConfigureStack decides the levels.
func (s *Server) ConfigureStack(
	_ context.Context, req *pulumirpc.AnalyzerStackConfigureRequest,
) (*pulumirpc.AnalyzerStackConfigureResponse, error) {
	profile, err := profileOf(req.GetConfig(), req.GetTags(), os.Getenv(ProfileVariable))
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.profile, s.dryRun, s.tags = profile, req.GetDryRun(), req.GetTags()
	return &pulumirpc.AnalyzerStackConfigureResponse{}, nil
}

// GetAnalyzerInfo describes every rule, with its level in this stack.
func (s *Server) GetAnalyzerInfo(context.Context, *emptypb.Empty) (*pulumirpc.AnalyzerInfo, error) {
	s.mu.Lock()
	profile := s.profile
	s.mu.Unlock()
	info := &pulumirpc.AnalyzerInfo{
		Name: s.pack.Name, Version: s.pack.Version, Description: s.pack.Description,
		SupportsConfig: true,
	}
	for _, r := range s.rules {
		schema, err := r.configSchema()
		if err != nil {
			return nil, err
		}
		kind := pulumirpc.PolicyType_POLICY_TYPE_RESOURCE
		if r.IsStack() {
			kind = pulumirpc.PolicyType_POLICY_TYPE_STACK
		}
		info.Policies = append(info.Policies, &pulumirpc.PolicyInfo{
			Name: r.Name, Description: r.Summary, Message: r.Why, RemediationSteps: r.Fix,
			Tags:             append([]string{r.Family}, r.IDs...),
			EnforcementLevel: pulumirpc.EnforcementLevel(r.Levels.Of(profile)), PolicyType: kind,
			Severity: severity(r.Severity), ConfigSchema: schema,
		})
	}
	return info, nil
}

func severity(s rule.Severity) pulumirpc.PolicySeverity {
	switch s {
	case rule.Low:
		return pulumirpc.PolicySeverity_POLICY_SEVERITY_LOW
	case rule.Medium:
		return pulumirpc.PolicySeverity_POLICY_SEVERITY_MEDIUM
	case rule.High:
		return pulumirpc.PolicySeverity_POLICY_SEVERITY_HIGH
	default:
		return pulumirpc.PolicySeverity_POLICY_SEVERITY_CRITICAL
	}
}

func (r *served) configSchema() (*pulumirpc.PolicyConfigSchema, error) {
	schema := r.ConfigSchema()
	properties := make(map[string]any, len(schema.Properties))
	for name, property := range schema.Properties {
		properties[name] = property
	}
	encoded, err := structpb.NewStruct(properties)
	if err != nil {
		return nil, fmt.Errorf("rule %s: its config schema: %w", r.Name, err)
	}
	return &pulumirpc.PolicyConfigSchema{Properties: encoded, Required: schema.Required}, nil
}

// Configure takes what the policy config file says, and refuses it with all its faults.
func (s *Server) Configure(_ context.Context, req *pulumirpc.ConfigureAnalyzerRequest) (*emptypb.Empty, error) {
	config := make(map[string]policyx.PolicyConfig, len(req.GetPolicyConfig()))
	var faults []string
	for name, given := range req.GetPolicyConfig() {
		properties := given.GetProperties().AsMap()
		at := slices.IndexFunc(s.rules, func(r *served) bool { return r.Name == name })
		switch {
		case at >= 0:
			faults = append(faults, s.rules[at].CheckConfig(properties)...)
		case name != "all":
			// The engine hands on what it does not know: a rule that somebody misspelt would keep its level.
			faults = append(faults, name+": is no rule of this pack: see `dbtier policy list`")
		}
		config[name] = policyx.PolicyConfig{
			EnforcementLevel: policyx.EnforcementLevel(given.GetEnforcementLevel()),
			Properties:       properties,
		}
	}
	if len(faults) > 0 {
		slices.Sort(faults)
		return nil, fmt.Errorf("the policy config:\n  %s", strings.Join(faults, "\n  "))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.config = config
	return &emptypb.Empty{}, nil
}

// setting is a rule's level and config now.
func (s *Server) setting(r *served) (rule.Level, map[string]any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if config, ok := s.config[r.Name]; ok {
		return config.EnforcementLevel, config.Properties
	}
	return r.Levels.Of(s.profile), nil
}

// Analyze judges one resource.
func (s *Server) Analyze(ctx context.Context, req *pulumirpc.AnalyzeRequest) (*pulumirpc.AnalyzeResponse, error) {
	response := &pulumirpc.AnalyzeResponse{}
	for found, err := range s.decoded(req, s.byType[req.GetType()]) {
		if err != nil {
			return nil, err
		}
		level, config := s.setting(found.rule)
		if level == rule.Disabled {
			continue
		}
		judge := &judge{
			server: s, rule: found.rule, level: level, config: config, urn: req.GetUrn(),
			response: response,
		}
		args := policyx.ResourceValidationArgs{
			Manager: judge, Config: config, DryRun: judge.DryRun(),
			StackTags: s.stackTags(), Resource: found.resource,
		}
		if err := found.rule.validate.Validate(ctx, args); err != nil {
			return nil, fmt.Errorf("rule %s on %s: %w", found.rule.Name, req.GetUrn(), err)
		}
	}
	return response, nil
}

func (s *Server) stackTags() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.tags)
}

// pair is a rule and the resource that it judges.
type pair struct {
	rule     *served
	resource policyx.AnalyzerResource
}

// decoded goes over the rules of a resource, whose properties are decoded once for all of them.
func (s *Server) decoded(req *pulumirpc.AnalyzeRequest, wanted *reads) func(yield func(pair, error) bool) {
	return func(yield func(pair, error) bool) {
		if wanted == nil {
			return
		}
		properties, err := decode(req.GetProperties(), wanted)
		if err != nil {
			yield(pair{}, fmt.Errorf("decoding %s: %w", req.GetUrn(), err))
			return
		}
		provider, err := decode(req.GetProvider().GetProperties(), ofProviders)
		if err != nil {
			yield(pair{}, fmt.Errorf("decoding the provider of %s: %w", req.GetUrn(), err))
			return
		}
		one := policyx.AnalyzerResource{
			Provider: policyx.AnalyzerProviderResource{
				Type: req.GetProvider().GetType(), URN: req.GetProvider().GetUrn(), Name: req.GetProvider().GetName(),
				Properties: provider,
			},
			Type: req.GetType(), Properties: properties, URN: req.GetUrn(), Name: req.GetName(),
			Options: options(req.GetOptions()),
			Parent:  req.GetOptions().GetParent(),
		}
		for _, r := range wanted.rules {
			if !yield(pair{r, one}, nil) {
				return
			}
		}
	}
}

// ofProviders are what rules read of a resource's provider.
var ofProviders = &reads{keys: map[string]bool{"defaultTags": true}}

func options(o *pulumirpc.AnalyzerResourceOptions) pulumi.ResourceOptions {
	return pulumi.ResourceOptions{
		Protect: o.GetProtect(), IgnoreChanges: o.GetIgnoreChanges(), DeleteBeforeReplace: o.GetDeleteBeforeReplace(),
		AdditionalSecretOutputs: o.GetAdditionalSecretOutputs(),
	}
}

// Remediate puts right what rules find, where their level is remediate. Each sees what the ones before it did.
func (s *Server) Remediate(ctx context.Context, req *pulumirpc.AnalyzeRequest) (*pulumirpc.RemediateResponse, error) {
	response := &pulumirpc.RemediateResponse{}
	wanted := s.byType[req.GetType()]
	if wanted == nil {
		return response, nil
	}
	var properties *property.Map
	for _, r := range wanted.rules {
		if r.remediate == nil {
			continue
		}
		level, config := s.setting(r)
		if level != rule.Remediate {
			continue
		}
		if properties == nil {
			// All of them: what is answered replaces the inputs.
			all, err := decode(req.GetProperties(), &reads{all: true})
			if err != nil {
				return nil, fmt.Errorf("decoding %s: %w", req.GetUrn(), err)
			}
			properties = &all
		}
		fixed, err := r.remediate.Remediate(ctx,
			policyx.ResourceRemediationArgs{Config: config, Resource: policyx.AnalyzerResource{
				Type: req.GetType(), Properties: *properties, URN: req.GetUrn(), Name: req.GetName(),
				Options: options(req.GetOptions()),
			}})
		if err != nil {
			return nil, fmt.Errorf("rule %s on %s: %w", r.Name, req.GetUrn(), err)
		}
		if fixed == nil {
			continue
		}
		properties = fixed
		encoded, err := plugin.MarshalProperties(resource.ToResourcePropertyMap(*fixed), marshalling)
		if err != nil {
			return nil, fmt.Errorf("encoding %s: %w", req.GetUrn(), err)
		}
		response.Remediations = append(response.Remediations, &pulumirpc.Remediation{
			PolicyName: r.Name, Description: r.Summary, PolicyPackName: s.pack.Name, PolicyPackVersion: s.pack.Version,
			Properties: encoded,
		})
	}
	return response, nil
}

// AnalyzeStack judges all resources together, and says which rules still wait.
func (s *Server) AnalyzeStack(
	ctx context.Context, req *pulumirpc.AnalyzeStackRequest,
) (*pulumirpc.AnalyzeResponse, error) {
	resources := make([]policyx.AnalyzerResource, len(req.GetResources()))
	for i, r := range req.GetResources() {
		// Resources that no rule knows are there for what depends on them.
		resources[i] = policyx.AnalyzerResource{
			Type: r.GetType(), URN: r.GetUrn(), Name: r.GetName(), Options: options(r.GetOptions()),
			Parent: r.GetParent(), Dependencies: dependencies(r),
			PropertyDependencies: propertyDependencies(r),
		}
		wanted := s.stacks[r.GetType()]
		if wanted == nil {
			continue
		}
		properties, err := decode(r.GetProperties(), wanted)
		if err != nil {
			return nil, fmt.Errorf("decoding %s: %w", r.GetUrn(), err)
		}
		resources[i].Properties = properties
	}
	response := &pulumirpc.AnalyzeResponse{}
	for _, r := range s.rules {
		if r.stack == nil {
			continue
		}
		level, config := s.setting(r)
		if level == rule.Disabled {
			continue
		}
		judge := &judge{server: s, rule: r, level: level, config: config, response: response}
		if err := r.stack.Validate(ctx, policyx.StackValidationArgs{Manager: judge, Resources: resources}); err != nil {
			return nil, fmt.Errorf("rule %s: %w", r.Name, err)
		}
	}
	s.sayWaiting(ctx)
	return response, nil
}

// dependencies are all that a resource waits for, by an option or by an input.
func dependencies(r *pulumirpc.AnalyzerResource) []string {
	all := slices.Clone(r.GetDependencies())
	for _, of := range r.GetPropertyDependencies() {
		all = append(all, of.GetUrns()...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func propertyDependencies(r *pulumirpc.AnalyzerResource) map[string][]string {
	all := make(map[string][]string, len(r.GetPropertyDependencies()))
	for key, of := range r.GetPropertyDependencies() {
		all[key] = of.GetUrns()
	}
	return all
}

// Cancel has nothing to cancel: no call takes long.
func (s *Server) Cancel(context.Context, *emptypb.Empty) (*emptypb.Empty, error) {
	return &emptypb.Empty{}, nil
}
