package ruletest

import (
	"fmt"
	"strings"
	"testing"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"github.com/stretchr/testify/require"

	"dbtier/policy/analyzer"
	"dbtier/policy/rule"
)

// Many returns the given number of resources, like those of many services: copies of the stack of a golden file with
// other names and namespaces.
func Many(tb testing.TB, golden string, count int) []*Resource {
	tb.Helper()
	stack := Golden(tb, golden)
	resources := make([]*Resource, 0, count+len(stack))
	for i := 0; len(resources) < count; i++ {
		service := fmt.Sprintf("shop%d", i)
		var job string
		for _, r := range stack {
			r = r.Clone()
			r.Name = service + "-" + r.Name
			r.Inputs, _ = renamed(r.Inputs, service).(map[string]any)
			r.GivenURN, r.Parent = "urn:pulumi:test::test::"+r.Type+"::"+r.Name, ""
			if strings.HasSuffix(r.Name, "migration-job") {
				job = r.URN()
			}
			resources = append(resources, r)
		}
		for _, r := range resources[len(resources)-len(stack):] {
			if strings.HasSuffix(r.Name, "consumer-deployment") {
				r.Dependencies = []string{job}
			}
		}
	}
	return resources[:count]
}

func renamed(value any, service string) any {
	switch value := value.(type) {
	case map[string]any:
		for key, inner := range value {
			value[key] = renamed(inner, service)
		}
		return value
	case []any:
		for i, inner := range value {
			value[i] = renamed(inner, service)
		}
		return value
	case string:
		return strings.ReplaceAll(value, "myshop", service)
	default:
		return value
	}
}

// Run is a run of a pack over encoded resources.
type Run struct {
	server *analyzer.Server
	single []*pulumirpc.AnalyzeRequest
	stack  *pulumirpc.AnalyzeStackRequest
}

// NewRun prepares a run of rules.
func NewRun(tb testing.TB, rules []*rule.Rule, resources []*Resource) *Run {
	tb.Helper()
	r := &Run{stack: StackRequest(tb, resources)}
	r.server, _ = Server(tb, Setup{Profile: rule.Production, Update: true}, rules...)
	for _, one := range resources {
		r.single = append(r.single, Request(tb, one))
	}
	return r
}

// Do judges every resource, and then all together.
func (r *Run) Do(tb testing.TB) {
	tb.Helper()
	for _, request := range r.single {
		_, err := r.server.Analyze(tb.Context(), request)
		require.NoError(tb, err)
	}
	_, err := r.server.AnalyzeStack(tb.Context(), r.stack)
	require.NoError(tb, err)
}
