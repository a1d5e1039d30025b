package verify

import (
	"context"
	"fmt"
	"net/url"
)

// RDS Proxy has no console that the cluster can reach, and a login with tokens needs the service's role and code. The
// service's own readiness replaces both checks: its pods are ready only while their database answers.

// service checks that every pod of the service is ready.
func (v *Verifier) service(ctx context.Context) (string, error) {
	t := v.Target
	var deployment struct {
		Spec struct {
			Replicas int `json:"replicas"`
		} `json:"spec"`
		Status struct {
			ReadyReplicas int `json:"readyReplicas"`
		} `json:"status"`
	}
	if err := v.Kubectl.Get(ctx, &deployment, t.Namespace, "deployment", t.Deployment); err != nil {
		if notFound(err) {
			return "", found(v.up(), "no Deployment %s in namespace %s", t.Deployment, t.Namespace)
		}
		return "", err
	}
	ready, want := deployment.Status.ReadyReplicas, deployment.Spec.Replicas
	if ready < want || ready == 0 {
		return "", found(v.kubectl("logs deployment/"+t.Deployment+" --tail=20"),
			"%d of %d pods of %s are ready: the others do not reach their database through the proxy %s", ready, want,
			t.Deployment, t.Proxy)
	}
	return fmt.Sprintf("%d pods of %s are ready, through the RDS Proxy %s", ready, t.Deployment, t.Proxy), nil
}

// withoutPassword checks the URL of a service that logs in with tokens. The checks cannot log in as such a service.
func (v *Verifier) withoutPassword(dsn *url.URL) (string, error) {
	t := v.Target
	if _, given := dsn.User.Password(); given {
		return "", found(v.kubectl("get externalsecret "+t.Secret+" --output=yaml"),
			"DATABASE_URL in Secret %s/%s has a password, but the proxy %s accepts only tokens", t.Namespace, t.Secret,
			t.Proxy)
	}
	return fmt.Sprintf("Secret %s: %s at %s, logs in with tokens", t.Secret, dsn.User.Username(), dsn.Host), nil
}

// poolStatus is the command that shows what the pool or the proxy knows about a failure.
func (v *Verifier) poolStatus() string {
	if v.Target.Proxy != "" {
		return "aws rds describe-db-proxy-targets --db-proxy-name " + v.Target.Proxy
	}
	return v.kubectl("logs deployment/" + v.Target.Pool + " --tail=20")
}
