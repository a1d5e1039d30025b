package verify_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/internal/kubectl"
	"dbtier/internal/verify"
)

var (
	now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	// generated is when the operator generated the passwords.
	generated = now.Add(-90 * 24 * time.Hour)
)

const (
	password = "p:%#?*[&+w"
	dsn      = "postgresql://myshop_api:p%3A%25%23%3F%2A%5B%26%2Bw@pgbouncer.myshop.svc:5432/myshop"
	pools    = `database|user|cl_active|cl_waiting|cl_active_cancel_req|sv_active|sv_idle|sv_used|pool_mode
myshop|myshop_admin|50|2|0|3|4|1|transaction
pgbouncer|pgbouncer|1|0|0|0|0|0|statement`
)

// cluster plays kubectl on a healthy cluster. A test changes the part that must fail.
type cluster struct {
	t *testing.T
	// secret is the Secret's DATABASE_URL; objects replaces the ExternalSecrets.
	secret  string
	objects string
	// given is when the bootstrap Job completed, started when the service's containers did. logins is what the pool
	// says about its users.
	given, started time.Time
	logins         string
	// slow is how many times the pool says that it logs in as the user before the rotation, and asked how many times it
	// was asked.
	slow, asked int
	// patience is the limit of each check; 0 for the default.
	patience time.Duration
	// fails maps a text to the error of the calls that contain it.
	fails map[string]error
	// left is what the sampled server connections answer, and config PgBouncer's configuration.
	left, config string
	// open is what the pod that is no part of the tier answers.
	open string
	// granted are the tokens that STS accepts.
	granted []string
	stsSays int

	mu    sync.Mutex
	calls [][]string
	stdin map[string]string
}

func healthy(t *testing.T) *cluster {
	t.Helper()
	return &cluster{
		t: t, secret: dsn, fails: map[string]error{}, stdin: map[string]string{},
		left:    "connection 7\nconnection 8\nconnection 8\n",
		config:  "key|value|default|changeable\ntrack_extra_parameters|IntervalStyle, search_path|IntervalStyle|yes\n",
		granted: []string{"myshop-secrets for sts.amazonaws.com"},
		given:   generated.Add(4 * time.Second), started: generated.Add(time.Minute),
		logins: "accepted myshop_app_a\naccepted reports_reader\n",
		objects: fmt.Sprintf(`{"items":[%s,%s,%s,%s]}`,
			externalSecret("myshop-api-db", "1m", "", now.Add(-30*time.Second), "True"),
			externalSecret("myshop-pool-login", "1h", "CreatedOnce", generated, "True"),
			externalSecret("pgbouncer-database-1", "0s", "CreatedOnce", generated, "True"),
			externalSecret("other-teams", "1m", "", now.Add(-time.Hour), "False")),
	}
}

func externalSecret(name, interval, policy string, refreshed time.Time, ready string) string {
	return fmt.Sprintf(`{"metadata":{"name":%q},"spec":{"refreshInterval":%q,"refreshPolicy":%q},"status":{"refreshTime":%q,
		"conditions":[{"type":"Ready","status":%q,"reason":"SecretSyncedError","message":"could not get secret data from provider"}]}}`,
		name, interval, policy, refreshed.Format(time.RFC3339), ready)
}

func failure(code int, stderr string) error {
	return &kubectl.Error{Args: []string{"exec"}, Code: code, Stderr: stderr}
}

func (c *cluster) Run(_ context.Context, stdin string, args ...string) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls = append(c.calls, args)
	all := strings.Join(args, " ")
	for part, err := range c.fails {
		if strings.Contains(all, part) {
			return "", err
		}
	}
	switch {
	case args[0] == "create" && args[1] == "--filename=-":
		if strings.Contains(stdin, `"dbtier-outsider-`) {
			c.stdin["outsider"] = stdin
		} else {
			c.stdin["pod"] = stdin
		}
		return "", nil
	case strings.Contains(all, "pg_isready"):
		return c.open, nil
	case args[0] == "wait", args[0] == "delete":
		return "", nil
	case args[0] == "create":
		return args[2] + " for " + strings.TrimPrefix(args[4], "--audience=") + "\n", nil
	case strings.Contains(all, "SHOW POOLS"):
		return pools, nil
	case strings.Contains(all, "userlist.txt"):
		return c.logins, nil
	case strings.Contains(all, "SHOW DATABASES"):
		assert.Contains(c.t, all, "exec --namespace=myshop pod/pgbouncer-1 --container=pgbouncer")
		c.asked++
		if c.asked <= c.slow {
			return databases("myshop_app_b"), nil
		}
		return databases("myshop_app_a"), nil
	case strings.Contains(all, "SHOW CONFIG"):
		return c.config, nil
	case strings.Contains(all, "$sql"):
		c.stdin["sessions"] = stdin
		return c.left, nil
	case strings.Contains(all, "select current_user"):
		c.stdin["secret"] = stdin
		return "myshop_api\n", nil
	case strings.HasSuffix(all, "command -v psql"):
		return "/usr/bin/psql\n", nil
	case strings.Contains(all, "select version()"):
		return "PostgreSQL 16.14 on x86_64-pc-linux-gnu, compiled by gcc\n", nil
	}
	c.t.Errorf("unexpected kubectl %s", all)
	return "", errors.New("unexpected")
}

func (c *cluster) Get(_ context.Context, into any, namespace string, what ...string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	assert.Equal(c.t, "myshop", namespace)
	if err := c.fails["get "+what[0]]; err != nil {
		return err
	}
	if what[0] == "deployment" {
		container := map[string]string{"myshop-api": "api", "pgbouncer": "pgbouncer"}[what[1]]
		text := fmt.Sprintf(`{"spec":{"template":{"metadata":{"labels":{"app":%q,"pod-template-hash":"x"}},"spec":{"serviceAccountName":"myshop-api","containers":[
			{"name":"sidecar","image":"other"},{"name":%q,"image":%q,"envFrom":[{"secretRef":{"name":"myshop-api-db"}}]}]}}}}`,
			what[1], container, "registry/"+what[1]+":1")
		return json.Unmarshal([]byte(text), into)
	}
	if what[0] == "pods" && what[1] == "--selector=app.kubernetes.io/name=pgbouncer" {
		pod := `{"metadata":{"name":"pgbouncer-1"%s},"spec":{"containers":[{"name":"exporter","ports":[{"containerPort":1}]},
			{"name":"pgbouncer","ports":[{"containerPort":6432}]}]},"status":{"phase":%q,"podIP":%q}}`
		return json.Unmarshal(fmt.Appendf(nil, `{"items":[%s,%s,%s]}`, fmt.Sprintf(pod, "", "Running", "10.0.0.1"),
			fmt.Sprintf(pod, `,"deletionTimestamp":"2026-11-23T12:00:00Z"`, "Running", "10.0.0.2"),
			fmt.Sprintf(pod, "", "Pending", "10.0.0.3")), into)
	}
	switch what[0] {
	case "job":
		return json.Unmarshal(fmt.Appendf(nil, `{"status":{"completionTime":%q}}`, c.given.Format(time.RFC3339)), into)
	case "pods":
		assert.Equal(c.t, "--selector=app.kubernetes.io/name=myshop-api", what[1])
		return json.Unmarshal(fmt.Appendf(nil, `{"items":[{"metadata":{"name":"going","deletionTimestamp":%[2]q},"status":{"containerStatuses":[
			{"name":"api","state":{"running":{"startedAt":"2020-01-01T00:00:00Z"}}}]}},{"metadata":{"name":"myshop-api-1"},"status":{"containerStatuses":[
			{"name":"sidecar","state":{"running":{"startedAt":"2020-01-01T00:00:00Z"}}},{"name":"api","state":{"running":{"startedAt":%[1]q}}}]}}]}`,
			c.started.Format(time.RFC3339), now.Format(time.RFC3339)), into)
	case "secret":
		data, err := json.Marshal(map[string]any{"data": map[string][]byte{"DATABASE_URL": []byte(c.secret)}})
		require.NoError(c.t, err)
		return json.Unmarshal(data, into)
	}
	return json.Unmarshal([]byte(c.objects), into)
}

// sts plays the security token service.
func (c *cluster) sts() *httptest.Server {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		assert.NoError(c.t, r.ParseForm())
		assert.Equal(c.t, "AssumeRoleWithWebIdentity", r.Form.Get("Action"))
		assert.Equal(c.t, "arn:aws:iam::111122223333:role/myshop-secrets", r.Form.Get("RoleArn"))
		switch {
		case c.stsSays != 0:
			w.WriteHeader(c.stsSays)
		case slices.Contains(c.granted, r.Form.Get("WebIdentityToken")):
			fmt.Fprint(w,
				`<AssumeRoleWithWebIdentityResponse><SecretAccessKey>do-not-print</SecretAccessKey></AssumeRoleWithWebIdentityResponse>`)
		default:
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprint(w,
				`<ErrorResponse><Error><Code>AccessDenied</Code><Message>Not authorized</Message></Error></ErrorResponse>`)
		}
	}))
	c.t.Cleanup(server.Close)
	return server
}

func (c *cluster) verify() map[string]verify.Check {
	c.t.Helper()
	v := &verify.Verifier{
		Kubectl: c, Now: func() time.Time { return now }, Timeout: c.patience,
		Target: verify.Target{
			Stack: "local", Namespace: "myshop", Deployment: "myshop-api", Container: "api", Secret: "myshop-api-db",
			Pool: "pgbouncer", PoolContainer: "pgbouncer",
			PoolSocketDir:   "/run/pgbouncer",
			ExternalSecrets: []string{"myshop-api-db", "myshop-pool-login", "pgbouncer-database-1"},
			Bootstrap:       "pgbouncer-bootstrap-1", Credential: "pgbouncer-database-1", Login: "myshop-pool-login",
			DatabaseUser: "myshop_app_a", SessionDatabase: "myshop-session",
			Role: "arn:aws:iam::111122223333:role/myshop-secrets", ServiceAccount: "myshop-secrets",
			ServiceAccountNamespace: "myshop",
			STS:                     c.sts().URL, Kubectl: "kubectl",
			DatabaseHost: "db.example", DatabasePort: "5432",
		},
	}
	checks := v.Run(c.t.Context())
	var names []string
	found := map[string]verify.Check{}
	for _, check := range checks {
		names = append(names, check.Name)
		found[check.Name] = check
		text, err := json.Marshal(check)
		require.NoError(c.t, err)
		for _, secret := range []string{password, "p%3A%25", dsn, "do-not-print", " for sts.amazonaws.com"} {
			assert.NotContains(c.t, string(text), secret, "check %s", check.Name)
		}
	}
	assert.Equal(c.t, []string{"secret", "query", "pool", "sessions", "isolation", "externalsecrets", "passwords", "irsa"}, names)
	return found
}

func TestAHealthyTierPassesEveryCheck(t *testing.T) {
	c := healthy(t)
	checks := c.verify()
	for name, want := range map[string]string{
		"secret":          "Secret myshop-api-db: logged in to pgbouncer.myshop.svc:5432 as myshop_api",
		"query":           "PostgreSQL 16.14",
		"pool":            "myshop/myshop_admin 50 clients on 8 servers, 2 clients wait",
		"sessions":        "2 server connections of 1 pods hold nothing of a client",
		"isolation":       "db.example:5432 and pgbouncer.myshop.svc:5432 do not answer it",
		"externalsecrets": "myshop-api-db, myshop-pool-login, pgbouncer-database-1: refreshed 30s ago at most",
		"passwords":       "PostgreSQL accepts myshop_app_a, reports_reader",
		"irsa": "myshop-secrets has myshop-secrets; another ServiceAccount: AccessDenied; another " +
			"audience: AccessDenied",
	} {
		assert.True(t, checks[name].OK, "%s: %s", name, checks[name].Cause)
		assert.Equal(t, want, checks[name].Detail, name)
		assert.Empty(t, checks[name].Cause, name)
	}
	assert.Equal(t, dsn+"\n", c.stdin["secret"], "the Secret's own value is tried")
	for _, call := range c.calls {
		assert.NotContains(t, strings.Join(call, " "), "p%3A", "the DSN is in no argument")
	}
}

func databases(user string) string {
	return "name|host|port|database|force_user|pool_size\nmyshop|h|5432|myshop|other|20\n" +
		"myshop-session|h|5432|myshop|" + user + "|2\npgbouncer||6432|pgbouncer|pgbouncer|2\n"
}

func TestAfterARotationTheCheckWaitsForThePoolsNewUser(t *testing.T) {
	c := healthy(t)
	c.slow = 1
	assert.True(t, c.verify()["passwords"].OK)
	assert.Equal(t, 2, c.asked)

	c = healthy(t)
	c.slow, c.patience = 1000, 10*time.Millisecond
	check := c.verify()["passwords"]
	assert.Equal(t, "pod pgbouncer-1 of the pool logs in as myshop_app_b, and the stack's database user is "+
		"myshop_app_a: the pod has not read its new files", check.Cause)
}

func TestEachFailureHasItsCauseAndTheNextCommand(t *testing.T) {
	notFound := failure(1, `Error from server (NotFound): secrets "x" not found`)
	for name, c := range map[string]struct {
		breaks      func(*cluster)
		check       string
		cause, next string
	}{
		"no operator": {
			func(c *cluster) {
				c.fails["get externalsecrets.v1.external-secrets.io"] = failure(1,
					`error: the server doesn't have a resource type "externalsecrets"`)
			}, "externalsecrets", "it has no External Secrets Operator, or one older than v0.16", "api-versions",
		},
		"no Secret": {
			func(c *cluster) { c.fails["get secret"] = notFound }, "secret",
			"no Secret myshop/myshop-api-db", "describe externalsecrets",
		},
		"an empty Secret": {
			func(c *cluster) { c.secret = "" }, "secret", "has no DATABASE_URL",
			"describe secret myshop-api-db",
		},
		"a DSN cut by its password": {
			func(c *cluster) { c.secret = "postgresql://u:" + password + "@h/db" }, "secret",
			"is not a URL of the form", "get externalsecret myshop-api-db",
		},
		"a login refused": {
			func(c *cluster) {
				c.fails["select current_user"] = failure(2,
					"psql: error: connection to server at \"pgbouncer\" failed: FATAL:  password authentication "+
						"failed for "+dsn+"\ncommand terminated with exit code 2\n")
			}, "secret", "the login is refused: psql: error", "logs deployment/pgbouncer",
		},
		"libpq quotes a piece": {
			func(c *cluster) {
				c.fails["select version()"] = failure(2,
					`psql: error: invalid integer value "%#?*[" for connection option "port"`)
			}, "query", "a value in it is not URL-encoded", "get externalsecret",
		},
		"no image with psql": {func(c *cluster) {
			c.fails["select version()"] = failure(127, "sh: 1: exec: psql: not found")
		}, "query", "has psql", "exec -it deployment/myshop-api"},
		"a stand-in that does not start": {
			func(c *cluster) {
				c.fails["deployment/myshop-api --container=api"] = failure(127, "sh: 1: exec: psql: not found")
				c.fails["wait "] = failure(1, "error: timed out waiting for the condition")
			}, "query", "does not start: timed out", "describe pod dbtier-verify-",
		},
		"no environment": {func(c *cluster) {
			c.fails["select version()"] = failure(2, "sh: 1: DATABASE_URL: is not in the environment")
		}, "query", "have no DATABASE_URL", "rollout restart deployment/myshop-api"},
		"no Deployment": {
			func(c *cluster) { c.fails["select version()"] = notFound }, "query",
			"no Deployment myshop-api", "dbtier up --stack local",
		},
		"a pool that is down": {func(c *cluster) {
			c.fails["SHOW POOLS"] = failure(2, "psql: error: connection refused")
		}, "pool", "the console does not answer", "logs deployment/pgbouncer"},
		"a client's setting on a server connection": {
			func(c *cluster) { c.left = "connection 7\nleft role b\nleft a = off\nconnection 8\nleft a = off\n" },
			"sessions", "left on the server connections of pgbouncer: a = off, role b. ",
			"rollout restart deployment pgbouncer",
		},
		"a sample that is refused": {
			func(c *cluster) { c.left = "connection 7\npsql: error: FATAL:  no more connections allowed\n" },
			"sessions", "a sample failed: psql: error: FATAL:  no more", "logs deployment/pgbouncer",
		},
		"policies that nobody enforces": {
			func(c *cluster) { c.open = "open db.example:5432 pgbouncer.myshop.svc:5432\n" }, "isolation",
			"reaches db.example:5432, pgbouncer.myshop.svc:5432: the cluster's network enforces no NetworkPolicies",
			"get networkpolicies",
		},
		"a name that no outsider resolves": {
			func(c *cluster) { c.open = "unresolved db.example:5432\n" }, "isolation",
			"cannot resolve db.example:5432, so it cannot be tested", "get pods",
		},
		"an outsider that is not admitted": {
			func(c *cluster) {
				c.fails["create --filename=-"] = failure(1, `Error from server (Forbidden): pods "x" is forbidden: exceeded quota`)
			}, "isolation", "the namespace does not admit a pod of verify", "describe resourcequotas,limitranges",
		},
		"no answer of any sample": {
			func(c *cluster) { c.left = "" }, "sessions", "no sample answered", "logs deployment/pgbouncer",
		},
		"a network that drops": {func(c *cluster) {
			c.fails["select version()"] = failure(2, "psql: error: connection to server failed: timeout expired")
		}, "query", "the database does not answer", "get networkpolicies,pods"},
		"not Ready": {
			func(c *cluster) {
				c.objects = fmt.Sprintf(`{"items":[%s]}`, externalSecret("myshop-api-db", "1m", "", now, "False"))
			}, "externalsecrets",
			"myshop-api-db is not Ready: SecretSyncedError: could not get secret data from provider; no " +
				"ExternalSecret myshop-pool-login", "describe externalsecret myshop-api-db",
		},
		"stale though Ready": {
			func(c *cluster) {
				c.objects = fmt.Sprintf(`{"items":[%s,%s]}`,
					externalSecret("myshop-api-db", "1m", "", now.Add(-121*time.Second), "True"),
					externalSecret("myshop-pool-login", "0", "", now.Add(-time.Hour), "True"))
			}, "externalsecrets", "myshop-api-db is stale: refreshed 2m1s ago with an interval of 1m0s",
			"describe externalsecret myshop-api-db",
		},
		"a database password generated again": {
			func(c *cluster) {
				c.objects = strings.Replace(c.objects, externalSecret("pgbouncer-database-1", "0s", "CreatedOnce",
					generated, "True"), externalSecret("pgbouncer-database-1", "0s", "CreatedOnce", now, "True"), 1)
			}, "passwords",
			"the password in Secret pgbouncer-database-1 was generated again at 2026-11-23T12:00:00Z, and PostgreSQL " +
				"has the password of 2026-08-25T12:00:04Z", "dbtier up --stack local",
		},
		"a database password that nobody can generate": {
			func(c *cluster) {
				c.objects = strings.Replace(c.objects, externalSecret("pgbouncer-database-1", "0s", "CreatedOnce",
					generated, "True"), externalSecret("pgbouncer-database-1", "0s", "CreatedOnce",
					generated, "False"), 1)
			}, "passwords",
			"the password in Secret pgbouncer-database-1 is not Ready: SecretSyncedError", "dbtier up --stack local",
		},
		"a missing generator": {
			func(c *cluster) {
				c.objects = strings.Replace(c.objects, `"spec":{`,
					`"spec":{"dataFrom":[{"sourceRef":{"generatorRef":{"name":"pgbouncer-login"}}}],`, 1)
			}, "passwords",
			"cannot be generated again: the cluster has no generator myshop/pgbouncer-login", "dbtier up --stack local",
		},
		"a login generated again": {
			func(c *cluster) { c.started = generated.Add(-time.Second) }, "passwords",
			"the password in Secret myshop-pool-login was generated again at 2026-08-25T12:00:00Z, and pod " +
				"myshop-api-1 has the password from before", "dbtier up --stack local",
		},
		"no namespace": {
			func(c *cluster) { c.objects = `{"items":[]}` }, "passwords",
			"Secret myshop-pool-login is gone: the cluster has no ExternalSecret myshop/myshop-pool-login; the " +
				"password in Secret pgbouncer-database-1 is gone", "dbtier up --stack local",
		},
		"another cluster": {
			func(c *cluster) {
				c.fails["get externalsecrets.v1.external-secrets.io,"+
					"passwords.v1alpha1.generators.external-secrets.io"] = failure(1,
					`error: the server doesn't have a resource type "externalsecrets"`)
			}, "passwords", "Secret pgbouncer-database-1 is gone", "dbtier up --stack local",
		},
		"another cluster at an address that kubectl knows": {
			func(c *cluster) {
				c.fails["get externalsecrets.v1.external-secrets.io,"+
					"passwords.v1alpha1.generators.external-secrets.io"] = failure(1, `Error from server (NotFound): Unable `+
					`to list "generators.external-secrets.io/v1alpha1, Resource=passwords": the server could not find the `+
					`requested resource (get passwords.generators.external-secrets.io)`)
			}, "passwords", "Secret pgbouncer-database-1 is gone", "dbtier up --stack local",
		},
		"a password changed in PostgreSQL": {
			func(c *cluster) {
				c.logins = `failed myshop_app_a: psql: error: FATAL:  password authentication failed for user "myshop_app_a"`
			}, "passwords", "Secret pgbouncer-database-1 is not the password that PostgreSQL has: psql: error: FATAL",
			"dbtier up --stack local",
		},
		"a database that is away": {
			func(c *cluster) { c.logins = `failed myshop_app_a: psql: error: connection to server: timeout expired` },
			"passwords", "the pool cannot log in as myshop_app_a: psql: error: connection", "logs deployment/pgbouncer",
		},
		"another login's user": {
			func(c *cluster) {
				c.logins = "accepted myshop_app_a\nfailed reports_reader: FATAL:  password authentication failed\n"
			}, "passwords", "the pool cannot log in as reports_reader: FATAL", "logs deployment/pgbouncer",
		},
		"its own token denied": {
			func(c *cluster) { c.granted = nil }, "irsa",
			"is denied its role arn:aws:iam::111122223333:role/myshop-secrets: AccessDenied",
			"get serviceaccount myshop-secrets",
		},
		"another gets the role": {func(c *cluster) {
			c.granted = append(c.granted, "default for sts.amazonaws.com")
		}, "irsa", "the token of ServiceAccount default gets role", "up --stack local"},
		"any audience is taken": {func(c *cluster) {
			c.granted = append(c.granted, "myshop-secrets for https://kubernetes.default.svc")
		}, "irsa", "a token for another audience gets role", "up --stack local"},
		"a failure is no denial": {
			func(c *cluster) { c.stsSays = http.StatusBadGateway }, "irsa", "answered 502",
			"get pods",
		},
		"no such ServiceAccount": {
			func(c *cluster) { c.fails["create token myshop-secrets"] = notFound }, "irsa",
			"no ServiceAccount myshop-secrets in namespace myshop", "up --stack local",
		},
		"a cluster that is away": {func(c *cluster) {
			c.fails["create token"] = failure(1, "Unable to connect to the server: EOF")
		}, "irsa", "the cluster does not answer", "cluster-info"},
		"a user who may not do it": {func(c *cluster) {
			c.fails["get secret"] = failure(1, "Error from server (Forbidden): no")
		}, "secret", "has no right to do this", "auth can-i"},
	} {
		t.Run(name, func(t *testing.T) {
			tier := healthy(t)
			c.breaks(tier)
			checks := tier.verify()
			assert.False(t, checks[c.check].OK)
			assert.Empty(t, checks[c.check].Detail)
			assert.Contains(t, checks[c.check].Cause, c.cause)
			assert.Contains(t, checks[c.check].Next, c.next)
			assert.NotContains(t, checks[c.check].Cause, "%#?*[")
		})
	}
}

func TestEveryPodOfThePoolIsSampledAndWhatPgBouncerRestoresIsNoFinding(t *testing.T) {
	c := healthy(t)
	c.verify()
	assert.Contains(t, c.stdin["sessions"], "source = 'session'")
	for _, call := range c.calls {
		line := call[len(call)-1]
		if !strings.Contains(line, "$sql") {
			continue
		}
		assert.Contains(t, line, "for at in 'hostaddr=10.0.0.1&port=6432'; do", "neither a pod that ends nor one that starts")
		assert.Contains(t, line, "timezone,intervalstyle,search_path'")
		return
	}
	t.Error("no sample")
}

func TestAPodLikeTheServicesStandsInWhereItsImageHasNoPsql(t *testing.T) {
	c := healthy(t)
	c.fails["deployment/myshop-api --container=api"] = failure(126,
		`error: exec failed: unable to start container process: exec: "sh": executable file not found in $PATH`)
	checks := c.verify()
	assert.True(t, checks["query"].OK, checks["query"].Cause)
	assert.True(t, checks["secret"].OK, checks["secret"].Cause)
	assert.Equal(t, "PostgreSQL 16.14 (from a pod with the service's settings, because its image has no psql)",
		checks["query"].Detail)

	var pod struct {
		Metadata struct {
			Name   string
			Labels map[string]string
		}
		Spec struct {
			ServiceAccountName string
			Containers         []struct {
				Image          string
				EnvFrom        []struct{ SecretRef struct{ Name string } }
				ReadinessProbe struct{ Exec struct{ Command []string } }
			}
		}
	}
	require.NoError(t, json.Unmarshal([]byte(c.stdin["pod"]), &pod))
	assert.Equal(t, map[string]string{"app": "myshop-api"}, pod.Metadata.Labels,
		"the service's policies, but no ReplicaSet's")
	assert.Equal(t, "myshop-api", pod.Spec.ServiceAccountName)
	require.Len(t, pod.Spec.Containers, 1)
	assert.Equal(t, "registry/pgbouncer:1", pod.Spec.Containers[0].Image)
	assert.Equal(t, "myshop-api-db", pod.Spec.Containers[0].EnvFrom[0].SecretRef.Name)
	assert.Equal(t, []string{"false"}, pod.Spec.Containers[0].ReadinessProbe.Exec.Command,
		"no Service may send it a request")
	made, removed := 0, 0
	for _, call := range c.calls {
		if call[0] == "create" && call[1] == "--filename=-" {
			made++
		}
		if call[0] == "delete" && slices.Contains(call, pod.Metadata.Name) {
			removed++
		}
	}
	assert.Equal(t, 2, made, "one for both checks, and the one that is no part of the tier")
	assert.Equal(t, 1, removed)
}

func TestPsqlRunsInAPodOfTheServiceOrInOneLikeIt(t *testing.T) {
	for name, c := range map[string]struct {
		fails            error
		where, container string
		removed          int
	}{
		"the image has psql": {nil, "deployment/myshop-api", "api", 0},
		"it has no shell": {
			failure(126, `exec: "sh": executable file not found in $PATH`), "pod/dbtier-verify-", "psql", 1,
		},
		"it has a shell and no psql": {failure(127, ""), "pod/dbtier-verify-", "psql", 1},
	} {
		t.Run(name, func(t *testing.T) {
			cluster := healthy(t)
			if c.fails != nil {
				cluster.fails["deployment/myshop-api --container=api"] = c.fails
			}
			v := &verify.Verifier{Kubectl: cluster, Target: verify.Target{
				Namespace: "myshop", Deployment: "myshop-api", Container: "api", Pool: "pgbouncer", PoolContainer: "pgbouncer",
			}}
			where, container, remove, err := v.PsqlPod(t.Context(), 2*time.Hour)
			require.NoError(t, err)
			assert.True(t, strings.HasPrefix(where, c.where), where)
			assert.Equal(t, c.container, container)
			if remove != nil {
				remove(t.Context())
			}
			removed := 0
			for _, call := range cluster.calls {
				if call[0] == "delete" {
					removed++
				}
			}
			assert.Equal(t, c.removed, removed)
			if c.removed > 0 {
				assert.Contains(t, cluster.stdin["pod"], `"activeDeadlineSeconds":7200`)
				assert.Contains(t, cluster.stdin["pod"], `"command":["sleep","7200"]`)
			}
		})
	}
	// A pod that does not start is removed.
	stuck := healthy(t)
	stuck.fails["deployment/myshop-api --container=api"] = failure(127, "")
	stuck.fails["--timeout=60s pod/dbtier-verify-"] = failure(1, "error: timed out waiting for the condition")
	waiting := &verify.Verifier{Kubectl: stuck, Target: verify.Target{
		Namespace: "myshop", Deployment: "myshop-api", Container: "api", Pool: "pgbouncer", PoolContainer: "pgbouncer",
	}}
	_, _, _, err := waiting.PsqlPod(t.Context(), time.Hour)
	require.ErrorContains(t, err, "does not start")
	assert.Equal(t, "delete", stuck.calls[len(stuck.calls)-1][0])
	// A cluster that is away is not an image without psql.
	cluster := healthy(t)
	cluster.fails["deployment/myshop-api"] = failure(1, "Unable to connect to the server: EOF")
	v := &verify.Verifier{Kubectl: cluster, Target: verify.Target{Namespace: "myshop", Deployment: "myshop-api"}}
	_, _, _, err = v.PsqlPod(t.Context(), time.Hour)
	require.ErrorContains(t, err, "Unable to connect")
}

func TestTheOutsiderHasNothingOfTheTierButItsPlace(t *testing.T) {
	c := healthy(t)
	c.verify()
	var pod struct {
		Metadata struct{ Labels map[string]string }
		Spec     struct {
			ServiceAccountName string
			Containers         []struct {
				Image        string
				Env, EnvFrom []any
			}
		}
	}
	require.NoError(t, json.Unmarshal([]byte(c.stdin["outsider"]), &pod))
	assert.Equal(t, map[string]string{"app.kubernetes.io/name": "dbtier-outsider"}, pod.Metadata.Labels)
	assert.Equal(t, "default", pod.Spec.ServiceAccountName)
	assert.Equal(t, "registry/pgbouncer:1", pod.Spec.Containers[0].Image)
	assert.Empty(t, pod.Spec.Containers[0].EnvFrom)
}

func TestAClustersOwnStackIsItsOperator(t *testing.T) {
	t.Parallel()
	const available = `{"items": [
		{"metadata": {"name": "external-secrets"}, "spec": {"replicas": 2, "template": {"spec": {"containers": [
			{"image": "registry:5000/external-secrets:v2.9.0"}]}}}, "status": {"availableReplicas": 2}},
		{"metadata": {"name": "external-secrets-webhook"}, "spec": {"replicas": 1}, "status": {"availableReplicas": 1}}]}`
	unknown := failure(1, `error: the server doesn't have a resource type "externalsecrets"`)
	for name, c := range map[string]struct {
		deployments string
		api         error
		detail      string
		cause, next string
	}{
		"all is well": {deployments: available, detail: "external-secrets v2.9.0, external-secrets-webhook"},
		"a pod is missing": {
			deployments: strings.Replace(available, `"availableReplicas": 2`, `"availableReplicas": 1`, 1),
			cause:       "Deployment external-secrets/external-secrets has 1 of 2 pods available",
			next:        "--namespace=external-secrets get deployments,pods",
		},
		"nothing is there": {
			deployments: `{"items": []}`, cause: "namespace external-secrets has no Deployment",
			next: "up --stack platform",
		},
		"no CRDs": {
			api: unknown, cause: "the cluster does not serve externalsecrets.v1.external-secrets.io",
			next: "up --stack platform",
		},
		"no cluster": {
			api: failure(1, "Unable to connect to the server: EOF"), cause: "the cluster does not answer",
			next: "cluster-info",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			target, err := verify.FromOutputs("platform",
				map[string]any{"operatorNamespace": "external-secrets", "stsEndpoint": "x"})
			require.NoError(t, err)
			checks := (&verify.Verifier{Target: target, Kubectl: &operator{c.deployments, c.api}}).Run(t.Context())
			require.Len(t, checks, 1)
			assert.Equal(t, c.cause == "", checks[0].OK, checks[0].Cause)
			assert.Equal(t, c.detail, checks[0].Detail)
			assert.Contains(t, checks[0].Cause, c.cause)
			assert.Contains(t, checks[0].Next, c.next)
		})
	}
}

// operator plays kubectl on a cluster in which only the operator is checked.
type operator struct {
	deployments string
	api         error
}

func (o *operator) Run(context.Context, string, ...string) (string, error) { return "", o.api }

func (o *operator) Get(_ context.Context, into any, _ string, _ ...string) error {
	return json.Unmarshal([]byte(o.deployments), into)
}

func TestTheTableShowsCauseAndNextCommandOfAFailure(t *testing.T) {
	var out bytes.Buffer
	checks := []verify.Check{
		{Name: "a", Title: "short", OK: true, Detail: "fine", Seconds: 0.12},
		{Name: "b", Title: "a longer title", Cause: "broken", Next: "kubectl logs x", Seconds: 1},
	}
	verify.Table(&out, checks)
	assert.Equal(t, "  ✓ short            0.1s  fine\n  ✗ a longer title   1.0s  broken\n"+strings.Repeat(" ",
		27)+"next: kubectl logs x\n", out.String())
	assert.Positive(t, verify.Failed(checks))
	assert.Zero(t, verify.Failed(checks[:1]))
}

func TestOutputsThatLackSomethingAreNamed(t *testing.T) {
	_, err := verify.FromOutputs("local", nil)
	require.EqualError(t, err, "stack local has no outputs: bring it up first with `dbtier up --stack local`")
	_, err = verify.FromOutputs("local", map[string]any{"namespace": "myshop"})
	require.ErrorContains(t, err, "stack local lacks the outputs deployment, container, databaseSecret, pool, ")

	outputs := map[string]any{"externalSecrets": []any{"a", "b"}}
	for _, name := range []string{
		"namespace", "deployment", "container", "databaseSecret", "pool", "poolContainer", "poolSocketDir", "databaseEndpoint",
		"secretsRoleArn",
		"secretsServiceAccount", "secretsServiceAccountNamespace", "stsEndpoint",
	} {
		outputs[name] = name
	}
	target, err := verify.FromOutputs("local", outputs)
	require.NoError(t, err)
	assert.Equal(t, []string{"a", "b"}, target.ExternalSecrets)
	assert.Equal(t, "secretsRoleArn", target.Role)
}
