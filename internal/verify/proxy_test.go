package verify_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/internal/verify"
)

// proxied plays kubectl on a stack with RDS Proxy instead of PgBouncer: the pool has no Deployment, and the service's
// image has no psql.
type proxied struct {
	*cluster
	ready int
}

func (p *proxied) Get(ctx context.Context, into any, namespace string, what ...string) error {
	const pod = `"template":{"metadata":{"labels":{"app":"myshop-api"}},"spec":{"containers":[{"name":"api","image":"registry/%s:1",
		"volumeMounts":[{"name":"database-ca","mountPath":"/etc/database-ca"}]}],"volumes":[{"name":"database-ca"}]}}`
	switch strings.Join(what, "/") {
	case "deployment/myshop-api":
		return json.Unmarshal(fmt.Appendf(nil, `{"spec":{"replicas":2,`+pod+`},"status":{"readyReplicas":%d}}`, "api",
			p.ready), into)
	case "job/database-bootstrap-1":
		return json.Unmarshal(fmt.Appendf(nil, `{"spec":{`+pod+`}}`, "bootstrap"), into)
	case "secret/myshop-api-db":
		return p.cluster.Get(ctx, into, namespace, what...)
	}
	if what[0] == "deployment" || what[0] == "job" {
		p.t.Errorf("unexpected %v", what)
	}
	return p.cluster.Get(ctx, into, namespace, what...)
}

func (p *proxied) run(target func(*verify.Target)) map[string]verify.Check {
	v := &verify.Verifier{
		Kubectl: p, Now: func() time.Time { return now },
		Target: verify.Target{
			Stack: "prod", Namespace: "myshop", Deployment: "myshop-api", Container: "api", Secret: "myshop-api-db",
			Proxy:     "myshop-prod-proxy",
			Bootstrap: "database-bootstrap-1", ExternalSecrets: []string{"myshop-api-db"},
			Role:           "arn:aws:iam::111122223333:role/myshop-secrets",
			ServiceAccount: "myshop-secrets", ServiceAccountNamespace: "myshop", STS: p.sts().URL, Kubectl: "kubectl",
		},
	}
	if target != nil {
		target(&v.Target)
	}
	found := map[string]verify.Check{}
	for _, check := range v.Run(p.t.Context()) {
		found[check.Name] = check
	}
	return found
}

func behindProxy(t *testing.T) *proxied {
	t.Helper()
	p := &proxied{cluster: healthy(t), ready: 2}
	p.fails["deployment/myshop-api --container=api"] = failure(127, "sh: 1: exec: psql: not found")
	return p
}

func TestBehindRDSProxyTheServiceItselfStandsForThePool(t *testing.T) {
	t.Parallel()
	p := behindProxy(t)
	checks := p.run(nil)
	assert.Len(t, checks, 7)
	for name, check := range checks {
		assert.True(t, check.OK, "%s: %s", name, check.Cause)
	}
	assert.Equal(t, "2 pods of myshop-api are ready, through the RDS Proxy myshop-prod-proxy", checks["service"].Detail)
	assert.NotContains(t, checks, "pool")
	var pod struct {
		Spec struct {
			Volumes    []struct{ Name string }
			Containers []struct {
				Image        string
				VolumeMounts []struct{ MountPath string }
			}
		}
	}
	require.NoError(t, json.Unmarshal([]byte(p.stdin["pod"]), &pod))
	assert.Equal(t, "registry/bootstrap:1", pod.Spec.Containers[0].Image, "which has psql")
	assert.Equal(t, "/etc/database-ca", pod.Spec.Containers[0].VolumeMounts[0].MountPath,
		"the file that verifies the proxy")
	assert.Equal(t, "database-ca", pod.Spec.Volumes[0].Name)
}

func TestFailuresBehindRDSProxy(t *testing.T) {
	t.Parallel()
	p := behindProxy(t)
	p.ready = 1
	check := p.run(nil)["service"]
	assert.Equal(t,
		"1 of 2 pods of myshop-api are ready: the others do not reach their database through the proxy "+
			"myshop-prod-proxy",
		check.Cause)
	assert.Contains(t, check.Next, "logs deployment/myshop-api")

	p = behindProxy(t)
	p.fails["select version()"] = failure(2, "psql: error: SASL authentication failed")
	assert.Equal(t, "aws rds describe-db-proxy-targets --db-proxy-name myshop-prod-proxy", p.run(nil)["query"].Next)

	p = behindProxy(t)
	check = p.run(func(target *verify.Target) { target.Bootstrap = "" })["query"]
	assert.Contains(t, check.Cause, "add postgresql-client to that of myshop-api", "nothing in the stack has psql")
}

func TestAServiceWithTokensIsAskedForNoPassword(t *testing.T) {
	t.Parallel()
	tokens := func(target *verify.Target) { target.Tokens = true }
	p := behindProxy(t)
	p.secret = "postgresql://myshop_app_a@myshop-prod-proxy.example:5432/myshop?sslmode=verify-full"
	checks := p.run(tokens)
	assert.Equal(t, "Secret myshop-api-db: myshop_app_a at myshop-prod-proxy.example:5432, logs in with tokens",
		checks["secret"].Detail)
	assert.NotContains(t, checks, "query", "no other client can log in as the service")
	assert.True(t, checks["service"].OK)

	p = behindProxy(t)
	check := p.run(tokens)["secret"]
	assert.Contains(t, check.Cause, "has a password, but the proxy myshop-prod-proxy accepts only tokens")
	assert.NotContains(t, check.Cause, password)
}

func TestTheProxyIsFoundInTheOutputs(t *testing.T) {
	t.Parallel()
	outputs := map[string]any{
		"namespace": "n", "deployment": "d", "container": "c", "databaseSecret": "s", "secretsRoleArn": "r",
		"secretsServiceAccount":          "a",
		"secretsServiceAccountNamespace": "n", "stsEndpoint": "e", "externalSecrets": []any{"x"},
		"databaseEndpoint": "h", "databasePort": 5432, "poolKind": "rdsProxy", "proxy": "p", "bootstrapJob": "j",
	}
	target, err := verify.FromOutputs("prod", outputs)
	require.NoError(t, err)
	assert.Equal(t, "p", target.Proxy)
	assert.Equal(t, "j", target.Bootstrap)
	assert.False(t, target.Tokens)
	outputs["databaseIamUser"] = "u"
	target, err = verify.FromOutputs("prod", outputs)
	require.NoError(t, err)
	assert.True(t, target.Tokens)
	delete(outputs, "proxy")
	_, err = verify.FromOutputs("prod", outputs)
	require.ErrorContains(t, err, "lacks the outputs proxy")
}
