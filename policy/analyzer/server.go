package analyzer

import (
	"context"
	"fmt"
	"os"
	"slices"
	"sync"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/structpb"

	"dbtier/policy/pack"
	"dbtier/policy/rule"
)

// Server is the analyzer of one engine.
type Server struct {
	pulumirpc.UnimplementedAnalyzerServer

	session *pack.Session
	// say shows a message that is not a violation to the user. Nil writes it into the engine's log.
	say func(ctx context.Context, message string)

	mu      sync.Mutex
	engine  string
	dryRun  bool
	waiting waiting
}

// New returns a server of a pack. At the end of a preview it passes the rules that wait for unknown values to say. Nil
// writes them into the engine's log.
func New(p pack.Pack, say func(ctx context.Context, message string)) (*Server, error) {
	// `pulumi policy analyze` never configures a stack.
	profile, err := pack.ProfileOf(nil, nil, os.Getenv(pack.ProfileVariable))
	if err != nil {
		return nil, err
	}
	return &Server{session: pack.NewSession(p, profile), say: say, waiting: waiting{}}, nil
}

// Handshake stores the engine's address.
func (s *Server) Handshake(
	_ context.Context, req *pulumirpc.AnalyzerHandshakeRequest,
) (*pulumirpc.AnalyzerHandshakeResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.engine = req.GetEngineAddress()
	return &pulumirpc.AnalyzerHandshakeResponse{}, nil
}

// GetPluginInfo returns the pack's version.
func (s *Server) GetPluginInfo(context.Context, *emptypb.Empty) (*pulumirpc.PluginInfo, error) {
	return &pulumirpc.PluginInfo{Version: s.session.Version}, nil
}

// ConfigureStack sets the stack's profile and exceptions, and whether the run is a preview.
func (s *Server) ConfigureStack(
	_ context.Context, req *pulumirpc.AnalyzerStackConfigureRequest,
) (*pulumirpc.AnalyzerStackConfigureResponse, error) {
	profile, err := pack.ProfileOf(req.GetConfig(), req.GetTags(), os.Getenv(pack.ProfileVariable))
	if err != nil {
		return nil, err
	}
	exceptions, err := pack.StackExceptions(s.session.Rules, req.GetConfig()[pack.ExceptionsKey])
	if err != nil {
		return nil, err
	}
	s.session.SetProfile(profile)
	s.session.Except(exceptions)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dryRun = req.GetDryRun()
	return &pulumirpc.AnalyzerStackConfigureResponse{}, nil
}

// GetAnalyzerInfo describes every rule, with its level in this stack.
func (s *Server) GetAnalyzerInfo(context.Context, *emptypb.Empty) (*pulumirpc.AnalyzerInfo, error) {
	info := &pulumirpc.AnalyzerInfo{
		Name: s.session.Name, Version: s.session.Version, Description: s.session.Description, SupportsConfig: true,
	}
	for _, r := range s.session.Rules {
		schema, err := structpb.NewStruct(r.ConfigSchema())
		if err != nil {
			return nil, fmt.Errorf("rule %s: its config schema: %w", r.Name, err)
		}
		kind := pulumirpc.PolicyType_POLICY_TYPE_RESOURCE
		if r.IsStack() {
			kind = pulumirpc.PolicyType_POLICY_TYPE_STACK
		}
		info.Policies = append(info.Policies, &pulumirpc.PolicyInfo{
			Name: r.Name, Description: r.Summary, Message: r.Why, RemediationSteps: r.Fix, PolicyType: kind,
			Tags: append([]string{r.Family}, r.IDs...), Severity: pulumirpc.PolicySeverity(r.Severity),
			EnforcementLevel: pulumirpc.EnforcementLevel(s.session.Level(r)),
			ConfigSchema:     &pulumirpc.PolicyConfigSchema{Properties: schema},
		})
	}
	return info, nil
}

// Configure sets what the policy config file says. It returns an error with all faults of the file.
func (s *Server) Configure(_ context.Context, req *pulumirpc.ConfigureAnalyzerRequest) (*emptypb.Empty, error) {
	settings := make(map[string]pack.Setting, len(req.GetPolicyConfig()))
	for name, given := range req.GetPolicyConfig() {
		settings[name] = pack.Setting{
			Level: rule.Level(given.GetEnforcementLevel()), Properties: given.GetProperties().AsMap(),
		}
	}
	if err := s.session.Configure(settings); err != nil {
		return nil, err
	}
	return &emptypb.Empty{}, nil
}

// Analyze judges one resource.
func (s *Server) Analyze(_ context.Context, req *pulumirpc.AnalyzeRequest) (*pulumirpc.AnalyzeResponse, error) {
	if !s.session.Judges(req.GetType()) {
		return &pulumirpc.AnalyzeResponse{}, nil
	}
	judged := resourceOf(req)
	judged.Properties, judged.Provider = fieldsOf(req.GetProperties()), fieldsOf(req.GetProvider().GetProperties())
	return s.response(s.session.Resource(judged)), nil
}

// described is what requests about one resource and about a stack have in common.
type described interface {
	GetType() string
	GetUrn() string
	GetName() string
	GetOptions() *pulumirpc.AnalyzerResourceOptions
}

func resourceOf(req described) *rule.Resource {
	return &rule.Resource{
		Type: req.GetType(), URN: req.GetUrn(), Name: req.GetName(), Protected: req.GetOptions().GetProtect(),
		Parent: req.GetOptions().GetParent(),
	}
}

// response encodes findings. In a preview, an unknown value makes the rule not applicable, and the update evaluates it.
// Otherwise the value will not become known, as in a state whose secrets cannot be decrypted, and is reported as an
// advisory violation.
func (s *Server) response(findings []pack.Finding) *pulumirpc.AnalyzeResponse {
	s.mu.Lock()
	defer s.mu.Unlock()
	response := &pulumirpc.AnalyzeResponse{}
	for i := range findings {
		f := &findings[i]
		if f.Kind == rule.Unknown && s.dryRun {
			s.waiting.add(f.Rule.Name, f.URN, f.Path)
			response.NotApplicable = append(response.NotApplicable, &pulumirpc.PolicyNotApplicable{
				PolicyName: f.Rule.Name, Reason: f.Path + " is not known yet; the rule is evaluated during the update",
			})
			continue
		}
		response.Diagnostics = append(response.Diagnostics, &pulumirpc.AnalyzeDiagnostic{
			PolicyName: f.Rule.Name, PolicyPackName: s.session.Name, PolicyPackVersion: s.session.Version, Urn: f.URN,
			Description: f.Rule.Summary, Message: f.Text(), Severity: pulumirpc.PolicySeverity(f.Rule.Severity),
			EnforcementLevel: pulumirpc.EnforcementLevel(f.Level),
		})
	}
	return response
}

// Remediate corrects the inputs of a resource by the rules whose level is remediate.
func (s *Server) Remediate(_ context.Context, req *pulumirpc.AnalyzeRequest) (*pulumirpc.RemediateResponse, error) {
	response := &pulumirpc.RemediateResponse{}
	if !s.session.Remediates(req.GetType()) {
		return response, nil
	}
	// The answer replaces the inputs, so all of them are decoded.
	inputs := decode(req.GetProperties())
	for _, done := range s.session.Remediate(*resourceOf(req), inputs) {
		response.Remediations = append(response.Remediations, &pulumirpc.Remediation{
			PolicyName: done.Rule.Name, Description: done.Rule.Summary, PolicyPackName: s.session.Name,
			PolicyPackVersion: s.session.Version, Properties: encode(done.Inputs),
		})
	}
	return response, nil
}

// AnalyzeStack judges all resources together. Then it shows which rules still wait for unknown values.
func (s *Server) AnalyzeStack(
	ctx context.Context, req *pulumirpc.AnalyzeStackRequest,
) (*pulumirpc.AnalyzeResponse, error) {
	resources := make([]*rule.Resource, len(req.GetResources()))
	for i, r := range req.GetResources() {
		resources[i] = resourceOf(r)
		resources[i].Properties, resources[i].Parent = fieldsOf(r.GetProperties()), r.GetParent()
		resources[i].Dependencies, resources[i].PropertyDependencies = dependencies(r)
	}
	response := s.response(s.session.Stack(resources))
	s.sayWaiting(ctx)
	return response, nil
}

// dependencies returns what a resource depends on by an option or by an input, and what each input depends on.
func dependencies(r *pulumirpc.AnalyzerResource) (all []string, properties map[string][]string) {
	all = slices.Clone(r.GetDependencies())
	properties = make(map[string][]string, len(r.GetPropertyDependencies()))
	for key, of := range r.GetPropertyDependencies() {
		properties[key] = of.GetUrns()
		all = append(all, of.GetUrns()...)
	}
	slices.Sort(all)
	return slices.Compact(all), properties
}

// sayWaiting shows which rules the update evaluates. A message that cannot be written does not fail the preview.
func (s *Server) sayWaiting(ctx context.Context) {
	s.mu.Lock()
	waits, address := s.waiting, s.engine
	s.waiting = waiting{}
	s.mu.Unlock()
	switch {
	case len(waits) == 0:
	case s.say != nil:
		s.say(ctx, waits.String())
	default:
		_ = logAt(ctx, address, waits.String())
	}
}

// Cancel does nothing: no call takes long.
func (s *Server) Cancel(context.Context, *emptypb.Empty) (*emptypb.Empty, error) {
	return &emptypb.Empty{}, nil
}
