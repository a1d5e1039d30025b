package verify

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"strings"

	"dbtier/components/contract"
)

// isolation starts a pod of the namespace that is no part of the tier, and expects that neither the database nor the
// pool answers it. A cluster accepts NetworkPolicies whether or not its network enforces them.
func (v *Verifier) isolation(ctx context.Context) (string, error) {
	t := v.Target
	var service podTemplate
	if err := v.Kubectl.Get(ctx, &service, t.Namespace, "deployment", t.Deployment); err != nil {
		return "", err
	}
	var secret struct {
		Data map[string][]byte `json:"data"`
	}
	if err := v.Kubectl.Get(ctx, &secret, t.Namespace, "secret", t.Secret); err != nil {
		return "", err
	}
	pool, err := url.Parse(string(secret.Data[contract.DatabaseURL]))
	if err != nil || pool.Host == "" {
		return "", found(v.kubectl("describe secret "+t.Secret), "Secret %s/%s has no DATABASE_URL", t.Namespace,
			t.Secret)
	}
	image, err := v.imageWithPsql(ctx)
	if err != nil {
		return "", err
	}
	outsider := &temporaryPod{name: "dbtier-outsider-" + random(), image: image, like: &service, account: "default"}
	outsider.labels = map[string]string{contract.NameLabel: "dbtier-outsider"}
	if err := v.start(ctx, outsider); err != nil {
		return "", err
	}
	database := net.JoinHostPort(t.DatabaseHost, t.DatabasePort)
	// Some networks enforce a policy only seconds after the pod has started. pg_isready ends with 2 if nothing answers,
	// which a name that does not resolve would also look like.
	out, err := v.Kubectl.Run(ctx, "", "exec", "--namespace="+t.Namespace, "pod/"+outsider.name,
		"--container="+standInContainer, "--", "sh", "-c", `command -v pg_isready >/dev/null || exit 127
for at in "$@"; do getent hosts "${at%:*}" >/dev/null || echo "unresolved $at"; done
for attempt in 1 2 3 4; do
  open=
  for at in "$@"; do
    pg_isready --quiet --host="${at%:*}" --port="${at##*:}" --timeout=2
    case $? in 0|1) open="$open $at" ;; esac
  done
  [ -n "$open" ] || exit 0
done
echo "open$open"`, "sh", database, pool.Host)
	if err != nil {
		return "", v.databaseFault(err)
	}
	for line := range strings.Lines(out) {
		line = strings.TrimSpace(line)
		if at, ok := strings.CutPrefix(line, "unresolved "); ok {
			return "", found(v.kubectl("get pods --output=wide"),
				"a pod of the namespace cannot resolve %s, so it cannot be tested whether policies keep it away", at)
		}
		if at, ok := strings.CutPrefix(line, "open "); ok {
			return "", found(v.kubectl("get networkpolicies"),
				"a pod that is no part of the tier reaches %s: the cluster's network enforces no NetworkPolicies, "+
					"or another policy allows it; Amazon VPC CNI enforces them only with enableNetworkPolicy in "+
					"its add-on",
				strings.Join(strings.Fields(at), ", "))
		}
	}
	return fmt.Sprintf("%s and %s do not answer it", database, pool.Host), nil
}
