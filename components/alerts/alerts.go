package alerts

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/component"
	"dbtier/components/contract"
	"dbtier/components/fault"
	"dbtier/components/object"
	"dbtier/components/workload"
	"dbtier/validation"
)

// Type is the component's type in URNs.
const Type = "dbtier:components:Alerts"

// suffix ends the name of the PrometheusRule.
const suffix = "alerts"

// Alerts is a PrometheusRule.
type Alerts struct {
	pulumi.ResourceState

	// RuleName is the name of the PrometheusRule.
	RuleName pulumi.StringOutput `pulumi:"ruleName"`
}

// AlertsArgs is what [NewAlerts] needs.
type AlertsArgs struct {
	Tier
	// Owner begins the name of the PrometheusRule. It is the name of the service's Deployment.
	Owner string
	// DependsOn must exist before the PrometheusRule. Default none.
	DependsOn []pulumi.Resource
}

// SetDefaults sets the longest refresh to a minute.
func (a *AlertsArgs) SetDefaults() {
	if a.Refresh == 0 {
		a.Refresh = time.Minute
	}
}

// Validate reports every fault of the arguments.
func (a *AlertsArgs) Validate() error {
	var faults fault.List
	faults.Form("owner", a.Owner, validation.Label)
	faults.Form("service", a.Service, validation.Label)
	faults.Form("environment", a.Environment, validation.Label)
	faults.Form("namespace", a.Namespace, validation.Label)
	faults.Check(a.PrometheusRule, "prometheusRule", a.PrometheusRule, "want true: there is nothing else to create")
	faults.Within("", a.Settings.Validate())
	return faults.Err()
}

// NewAlerts creates the PrometheusRule. Before it creates anything, it returns every fault of the arguments at once.
func NewAlerts(ctx *pulumi.Context, name string, args *AlertsArgs, opts ...pulumi.ResourceOption) (*Alerts, error) {
	return component.New(ctx, Type, name, args, build, opts...)
}

func build(s component.Scope, args *AlertsArgs, alerts *Alerts) error {
	// Pulumi takes plain maps and lists, which JSON makes of the groups.
	text, err := json.Marshal(args.groups())
	if err != nil {
		return fmt.Errorf("the rules: %w", err)
	}
	var groups []any
	if err := json.Unmarshal(text, &groups); err != nil {
		return fmt.Errorf("the rules: %w", err)
	}
	meta := object.Meta{
		Name: contract.Object(args.Owner, suffix), Namespace: args.Namespace,
		Labels: workload.Labels(contract.Object(args.Owner, suffix), args.Owner),
	}
	for key, text := range args.Labels {
		meta.Labels[key] = pulumi.String(text)
	}
	rule, err := object.NewCustom(s.Ctx, s.Child("rule"), "monitoring.coreos.com/v1", "PrometheusRule", meta,
		pulumi.Map{"groups": pulumi.ToOutput(groups)}, s.Parent, pulumi.DependsOn(args.DependsOn))
	if err != nil {
		return err
	}
	alerts.RuleName = rule.Name
	return nil
}
