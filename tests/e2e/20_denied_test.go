//go:build e2e

package e2e

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// assumeRole exchanges a Kubernetes token for a role like any web identity client, and returns the status and body of
// the response.
func assumeRole(t *testing.T, roleARN, token string) (int, string) {
	t.Helper()
	endpoint := strings.TrimSpace(mustDbtier(t, "local", "env").stdout)
	var base string
	for line := range strings.Lines(endpoint) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), "export AWS_ENDPOINT_URL="); ok {
			base = strings.Trim(value, `'"`)
		}
	}
	require.NotEmpty(t, base, "AWS_ENDPOINT_URL in `dbtier local env`")
	resp, err := http.PostForm(base, url.Values{
		"Action": {"AssumeRoleWithWebIdentity"}, "Version": {"2011-06-15"},
		"RoleArn": {roleARN}, "RoleSessionName": {"denial-test"}, "WebIdentityToken": {token},
	})
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(body)
}

func token(t *testing.T, ns, serviceAccount, audience string) string {
	t.Helper()
	return strings.TrimSpace(kubectl(t, "-n", ns, "create", "token", serviceAccount, "--audience", audience))
}

func TestOnlyTheServicesOwnServiceAccountGetsItsRole(t *testing.T) {
	role := output(t, "secretsRoleArn")
	own := output(t, "secretsServiceAccount")

	status, body := assumeRole(t, role, token(t, namespace, own, "sts.amazonaws.com"))
	require.Equal(t, http.StatusOK, status, "the ServiceAccount's own token: %s", errorCode(body))

	for name, tok := range map[string]string{
		"another ServiceAccount of the namespace": token(t, namespace, "default", "sts.amazonaws.com"),
		"a ServiceAccount of another namespace":   token(t, "kube-system", "default", "sts.amazonaws.com"),
		"a wrong audience":                        token(t, namespace, own, "https://kubernetes.default.svc"),
		"a token that was tampered with":          tamper(token(t, namespace, own, "sts.amazonaws.com")),
	} {
		status, body := assumeRole(t, role, tok)
		assert.GreaterOrEqual(t, status, 400, "%s must be denied", name)
		assert.NotContains(t, body, "SecretAccessKey", name)
		t.Logf("%s: %d %s", name, status, errorCode(body))
	}
}

// tamper changes one character in the middle of the signature.
func tamper(tok string) string {
	i := strings.LastIndex(tok, ".") + 20
	c := byte('A')
	if tok[i] == c {
		c = 'B'
	}
	return tok[:i] + string(c) + tok[i+1:]
}

func errorCode(body string) string {
	_, rest, ok := strings.Cut(body, "<Code>")
	if !ok {
		return "no error code"
	}
	code, _, _ := strings.Cut(rest, "</Code>")
	return code
}

// externalSecretManifest returns an ExternalSecret that reads a secret of Secrets Manager through the given store.
func externalSecretManifest(ns, name, storeKind, store, key string) string {
	return fmt.Sprintf(`
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata: {name: %q, namespace: %q}
spec:
  refreshInterval: 1h
  secretStoreRef: {kind: %q, name: %q}
  target: {name: %q}
  data: [{secretKey: password, remoteRef: {key: %q}}]
`, name, ns, storeKind, store, name, key)
}

func readyCondition(t *testing.T, ns, name string) (status, reason, message string) {
	t.Helper()
	r := tryKubectl(t, "", "-n", ns, "get", "externalsecret", name, "-o",
		`jsonpath={range .status.conditions[?(@.type=="Ready")]}{.status}{"\t"}{.reason}{"\t"}{.message}{end}`)
	parts := strings.SplitN(r.stdout, "\t", 3)
	if len(parts) < 3 {
		return "", "", r.all()
	}
	return parts[0], parts[1], parts[2]
}

func TestAnotherTeamsSecretIsDeniedByIAM(t *testing.T) {
	created := aws(t, "secretsmanager", "create-secret", "--name", "team-b/db", "--secret-string",
		`{"username":"b","password":"another-teams-own"}`)
	require.Zero(t, created.code, "%s", created)
	t.Cleanup(func() {
		aws(t, "secretsmanager", "delete-secret", "--secret-id", "team-b/db", "--force-delete-without-recovery")
	})
	apply(t, externalSecretManifest(namespace, "curious", "ClusterSecretStore", output(t, "secretStore"), "team-b/db"))
	denied(t, namespace, "curious", "AccessDenied")
}

func TestANamespaceThatIsNotNamedCannotUseTheStore(t *testing.T) {
	apply(t, "apiVersion: v1\nkind: Namespace\nmetadata: {name: outsiders}\n")
	apply(t, externalSecretManifest("outsiders", "curious", "ClusterSecretStore", output(t, "secretStore"),
		output(t, "masterSecretArn")))
	denied(t, "outsiders", "curious", "not allowed")
}

// denied waits until the operator's attempt has been refused, and asserts that no Secret was created.
func denied(t *testing.T, ns, name, because string) {
	t.Helper()
	eventually(t, time.Minute, "the operator's refusal", func() (bool, string) {
		status, reason, message := readyCondition(t, ns, name)
		events := tryKubectl(t, "", "-n", ns, "get", "events", "--field-selector", "involvedObject.name="+name, "-o",
			"jsonpath={.items[*].message}").stdout
		seen := strings.Join([]string{status, reason, message, events}, " | ")
		return status == "False" && strings.Contains(seen, because), seen
	})
	r := tryKubectl(t, "", "-n", ns, "get", "secret", name)
	assert.NotZero(t, r.code, "Secret %s/%s must not exist", ns, name)
}

// A pod that is not a declared holder of connections reaches neither the pool nor the instance, even if it knows their
// addresses.
func TestNetworkPoliciesKeepOtherPodsFromThePoolAndTheInstance(t *testing.T) {
	apply(t, "apiVersion: v1\nkind: Namespace\nmetadata: {name: outsiders}\n")
	image := kubectl(t, "-n", namespace, "get", "deployment", service, "-o",
		"jsonpath={.spec.template.spec.containers[0].image}")
	apply(t, fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: outsider, namespace: outsiders}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: sh, image: %q, command: [sleep, infinity]}]
`, image))
	r := tryKubectl(t, "", "-n", "outsiders", "wait", "--for=condition=Ready", "--timeout=60s", "pod/outsider")
	require.Zero(t, r.code, "%s", r)

	target := fmt.Sprintf("%s.%s.svc", pool, namespace)
	reach := "timeout 3 bash -c 'exec 3<>/dev/tcp/%s/5432' 2>&1 && echo reached || echo kept out"
	fromOutside := tryKubectl(t, "", "-n", "outsiders", "exec", "outsider", "--", "bash", "-c",
		fmt.Sprintf(reach, target))
	assert.Contains(t, fromOutside.stdout, "kept out", "%s", fromOutside)
	fromService := inServicePod(t, fmt.Sprintf(reach, target))
	assert.Contains(t, fromService.stdout, "reached", "%s", fromService)
}
