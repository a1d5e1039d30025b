package pgbouncer_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"
	"text/template"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/components/componenttest"
	"dbtier/components/eso"
	"dbtier/components/pgbouncer"
)

const (
	externalSecret = "kubernetes:external-secrets.io/v1:ExternalSecret"
	secretStore    = "kubernetes:external-secrets.io/v1:SecretStore"
	deploymentType = "kubernetes:apps/v1:Deployment"
	host           = "myshop-prod.c9akciq32rgx.ap-northeast-2.rds.amazonaws.com"
)

func settings() pgbouncer.Settings {
	s := pgbouncer.Defaults()
	s.Image = "registry.example/pgbouncer:1.24.1-1_deb13u2"
	return s
}

func arguments() *pgbouncer.PgBouncerPoolArgs {
	return &pgbouncer.PgBouncerPoolArgs{
		Settings:  settings(),
		Service:   "myshop-api",
		Namespace: "myshop",
		Databases: []pgbouncer.Database{{Name: "myshop", Host: pulumi.String(host), Port: pulumi.Int(5432)}},
		Credential: pgbouncer.Credential{
			Store: eso.StoreRef{Kind: "ClusterSecretStore", Name: pulumi.String("myshop-aws")},
			Key:   pulumi.String(componenttest.SecretArn),
		},
		CABundle: authority,
	}
}

func create(args *pgbouncer.PgBouncerPoolArgs, opts ...pulumi.ResourceOption) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error {
		pool, err := pgbouncer.NewPgBouncerPool(ctx, "pool", args, opts...)
		if err != nil {
			return err
		}
		ctx.Export("host", pool.Host)
		ctx.Export("port", pool.Port)
		ctx.Export("service", pool.ServiceName)
		ctx.Export("deployment", pool.DeploymentName)
		ctx.Export("consumer", pool.ConsumerSecretName)
		ctx.Export("login", pool.LoginSecretName)
		ctx.Export("config", pool.ConfigSecretName)
		return nil
	}
}

func TestAPoolIsTheseObjects(t *testing.T) {
	t.Parallel()
	recorded := componenttest.Run(t, create(arguments()))
	assert.Equal(t, map[string]int{
		pgbouncer.Type:               1,
		"kubernetes:core/v1:Service": 1,
		"kubernetes:generators.external-secrets.io/v1alpha1:Password": 1,
		externalSecret:                      5,
		secretStore:                         1,
		"kubernetes:core/v1:ServiceAccount": 2,
		"kubernetes:rbac.authorization.k8s.io/v1:Role":        1,
		"kubernetes:rbac.authorization.k8s.io/v1:RoleBinding": 1,
		"kubernetes:core/v1:ConfigMap":                        1,
		"kubernetes:networking.k8s.io/v1:NetworkPolicy":       1,
		deploymentType: 1,
		"kubernetes:policy/v1:PodDisruptionBudget": 1,
	}, recorded.Types())
	assert.Equal(t, map[string]any{
		"host": "pgbouncer.myshop.svc", "port": 5432, "service": "pgbouncer", "deployment": "pgbouncer",
		"consumer": "myshop-api-db", "login": "pgbouncer-login", "config": "pgbouncer-config",
	}, recorded.Outputs)
	component := recorded.One(t, pgbouncer.Type)
	for _, child := range recorded.Each() {
		if child == component {
			continue
		}
		assert.Equal(t, component.URN, componenttest.ParentOf(child), child.URN)
		assert.True(t, strings.HasPrefix(child.Name, "pool-"), child.Name)
		assert.Equal(t, "myshop", child.At("metadata", "namespace"), child.URN)
		assert.Equal(t, "myshop-api", child.At("metadata", "labels", "app.kubernetes.io/part-of"), child.URN)
	}
}

func TestTheNumbersOfTheTier(t *testing.T) {
	t.Parallel()
	recorded := componenttest.Run(t, create(arguments()))
	deployment := recorded.One(t, deploymentType)
	assert.EqualValues(t, 2, deployment.At("spec", "replicas"))
	container := componenttest.At(deployment.Inputs, "spec", "template", "spec", "containers", 0)
	assert.Equal(t, map[string]any{
		"requests": map[string]any{"cpu": "50m", "memory": "64Mi"},
		"limits":   map[string]any{"cpu": "1", "memory": "128Mi"},
	}, componenttest.At(container, "resources"))
	assert.EqualValues(t, 6432, componenttest.At(container, "ports", 0, "containerPort"))
	service := recorded.One(t, "kubernetes:core/v1:Service")
	assert.EqualValues(t, 5432, service.At("spec", "ports", 0, "port"))
	assert.Equal(t, "pgbouncer", service.At("spec", "ports", 0, "targetPort"))
	assert.Equal(t, "ClusterIP", service.At("spec", "type"))

	ini := parseINI(t, render(t, templates(t, recorded, "pool-config")["pgbouncer.ini"], secrets()))["pgbouncer"]
	assert.Equal(t, "transaction", ini["pool_mode"])
	assert.Equal(t, "1000", ini["max_client_conn"])
	assert.Equal(t, "20", ini["default_pool_size"])
	assert.Equal(t, "20", ini["max_db_connections"])
	assert.Equal(t, "6432", ini["listen_port"])
}

// The template is the whole file and contains no secret.
func TestTheConfigurationInFull(t *testing.T) {
	t.Parallel()
	args := arguments()
	args.Databases = append(args.Databases, pgbouncer.Database{
		Name: "reports", DBName: "myshop_reports", Host: pulumi.String(host), Port: pulumi.Int(5433),
	})
	config := templates(t, componenttest.Run(t, create(args)), "pool-config")
	assert.Equal(t, `[databases]
myshop = host='`+host+`' port='5432' dbname='myshop' user='{{ .databaseUser | replace "'" "''" }}'
reports = host='`+host+`' port='5433' dbname='myshop_reports' user='{{ .databaseUser | replace "'" "''" }}'
myshop-session = host='`+host+`' port='5432' dbname='myshop' user='{{ .databaseUser | replace "'" "''" }}' `+
		`pool_size='2' max_db_connections='2' pool_mode='session'
reports-session = host='`+host+`' port='5433' dbname='myshop_reports' user='{{ .databaseUser | replace "'" "''" }}' `+
		`pool_size='2' max_db_connections='2' pool_mode='session'

[pgbouncer]
listen_addr = *
listen_port = 6432
listen_backlog = 4096
unix_socket_dir = /run/pgbouncer
auth_type = hba
auth_hba_file = /etc/pgbouncer/hba.conf
auth_file = /etc/pgbouncer/userlist.txt
pool_mode = transaction
max_client_conn = 1000
default_pool_size = 20
reserve_pool_size = 0
max_db_connections = 20
max_prepared_statements = 200
server_lifetime = 3600
server_idle_timeout = 600
query_wait_timeout = 120
server_login_retry = 1
server_connect_timeout = 5
server_tls_sslmode = verify-full
server_tls_ca_file = /etc/pgbouncer-ca/ca.pem
tcp_keepalive = 1
tcp_keepidle = 30
tcp_keepintvl = 10
tcp_keepcnt = 3
tcp_user_timeout = 15000
dns_max_ttl = 5
dns_nxdomain_ttl = 5
log_connections = 0
log_disconnections = 0
track_extra_parameters = IntervalStyle, default_transaction_read_only
ignore_startup_parameters = extra_float_digits
`, config["pgbouncer.ini"])
	assert.Equal(t, `host "myshop" "myshop_api" 0.0.0.0/0 scram-sha-256
host "myshop" "myshop_api" ::/0 scram-sha-256
host "reports" "myshop_api" 0.0.0.0/0 scram-sha-256
host "reports" "myshop_api" ::/0 scram-sha-256
host "myshop-session" "myshop_api" 0.0.0.0/0 scram-sha-256
host "myshop-session" "myshop_api" ::/0 scram-sha-256
host "reports-session" "myshop_api" 0.0.0.0/0 scram-sha-256
host "reports-session" "myshop_api" ::/0 scram-sha-256
`, config["hba.conf"], "only the service's login and its databases")
	assert.Equal(t, `{{ if eq .databaseUser .loginUser "pgbouncer" "console" "metrics" }}`+
		`{{ fail "a login of the pool has the name of the database user: give the pool another loginUser" }}{{ end }}`+
		`"{{ .loginUser | replace "\"" "\"\"" }}" "{{ .loginPassword | replace "\"" "\"\"" }}"
"{{ .databaseUser | replace "\"" "\"\"" }}" "{{ .databasePassword | replace "\"" "\"\"" }}"
`, config["userlist.txt"])
}

func TestTheServicesURLLeadsToThePoolWithItsOwnLogin(t *testing.T) {
	t.Parallel()
	recorded := componenttest.Run(t, create(arguments()))
	dsn := templates(t, recorded, "pool-consumer-secret")
	assert.Equal(t, []string{"DATABASE_URL"}, slices.Collect(maps.Keys(dsn)))
	for _, password := range nasty {
		values := secrets()
		values["loginPassword"] = password
		parsed, err := url.Parse(render(t, dsn["DATABASE_URL"], values))
		require.NoError(t, err, "%q", password)
		got, _ := parsed.User.Password()
		// urlquery turns a space into +, but the generator creates no spaces.
		assert.Equal(t, strings.ReplaceAll(password, " ", "+"), got)
		assert.Equal(t, "myshop_api", parsed.User.Username())
		assert.Equal(t, "pgbouncer.myshop.svc:5432", parsed.Host)
		assert.Equal(t, "/myshop", parsed.Path)
		assert.Equal(t, "sslmode=disable", parsed.RawQuery, "explicit, so that no client tries TLS first")
	}
}

func TestClientTLSNeedsOneSetting(t *testing.T) {
	t.Parallel()
	args := arguments()
	args.ClientTLSSecret = "pgbouncer-tls"
	recorded := componenttest.Run(t, create(args))
	ini := parseINI(t, render(t, templates(t, recorded, "pool-config")["pgbouncer.ini"], secrets()))["pgbouncer"]
	assert.Equal(t, "require", ini["client_tls_sslmode"])
	assert.Equal(t, "/etc/pgbouncer-tls/tls.key", ini["client_tls_key_file"])
	assert.Equal(t, "/etc/pgbouncer-tls/tls.crt", ini["client_tls_cert_file"])
	assert.Contains(t, templates(t, recorded, "pool-consumer-secret")["DATABASE_URL"], "?sslmode=require")
	deployment := recorded.One(t, deploymentType)
	assert.Contains(t, deployment.Text(), `"mountPath":"/etc/pgbouncer-tls"`)
	assert.Contains(t, deployment.Text(), `"secretName":"pgbouncer-tls"`)
	assert.Contains(t, templates(t, recorded, "pool-config")["hba.conf"], `hostssl "myshop"`,
		"no line matches a client without TLS")
	reloader, _ := deployment.At("spec", "template", "spec", "initContainers", 0, "command").([]any)
	assert.Equal(t, []any{"reloader", "/etc/pgbouncer/..data", "/etc/pgbouncer-tls/..data"}, reloader[3:],
		"a renewed certificate is loaded")
}

func TestConnectionsOfAPodCanBeKeptTogetherForCancelRequests(t *testing.T) {
	t.Parallel()
	assert.Nil(t, componenttest.Run(t, create(arguments())).One(t, "kubernetes:core/v1:Service").At("spec",
		"sessionAffinity"))
	args := arguments()
	args.ClientAffinity = true
	assert.Equal(t, "ClientIP", componenttest.Run(t, create(args)).One(t, "kubernetes:core/v1:Service").At("spec",
		"sessionAffinity"))
}

func TestTheLoginIsCreatedOnceInTheCluster(t *testing.T) {
	t.Parallel()
	recorded := componenttest.Run(t, create(arguments()))
	login := recorded.Named(t, externalSecret, "pool-login")
	assert.Equal(t, "CreatedOnce", login.At("spec", "refreshPolicy"), "a generator runs at every refresh")
	assert.Equal(t, map[string]any{
		"apiVersion": "generators.external-secrets.io/v1alpha1", "kind": "Password",
		"name": "pgbouncer-login",
	},
		login.At("spec", "dataFrom", 0, "sourceRef", "generatorRef"))
	assert.Equal(t, map[string]string{"username": "myshop_api", "password": "{{ .password }}"},
		templates(t, recorded, "pool-login"))
	assert.True(t, login.DeleteBeforeReplace)
	generator := recorded.One(t, "kubernetes:generators.external-secrets.io/v1alpha1:Password")
	assert.Equal(t, map[string]any{
		"length": 32.0, "digits": 8.0, "symbols": 4.0, "symbolCharacters": "-_.~", "noUpper": false,
		"allowRepeat": true,
	}, generator.Inputs["spec"])
}

func TestTheOperatorReadsTheLoginAndNothingElse(t *testing.T) {
	t.Parallel()
	recorded := componenttest.Run(t, create(arguments()))
	role := recorded.One(t, "kubernetes:rbac.authorization.k8s.io/v1:Role")
	assert.Equal(t, []any{map[string]any{
		"apiGroups": []any{""}, "resources": []any{"secrets"}, "resourceNames": []any{"pgbouncer-login", "pgbouncer-kept-login"},
		"verbs": []any{"get"},
	}}, role.Inputs["rules"])
	binding := recorded.One(t, "kubernetes:rbac.authorization.k8s.io/v1:RoleBinding")
	assert.Equal(t, []any{map[string]any{
		"kind": "ServiceAccount", "name": "pgbouncer-login-reader",
		"namespace": "myshop",
	}}, binding.Inputs["subjects"])
	store := recorded.One(t, secretStore)
	assert.Equal(t, map[string]any{
		"remoteNamespace": "myshop",
		"server": map[string]any{
			"url":        "https://kubernetes.default.svc",
			"caProvider": map[string]any{"type": "ConfigMap", "name": "kube-root-ca.crt", "key": "ca.crt"},
		},
		"auth": map[string]any{"serviceAccount": map[string]any{"name": "pgbouncer-login-reader"}},
	}, store.At("spec", "provider", "kubernetes"))
	assert.True(t, recorded.Follows(store, binding), "a store whose reader has no rights is not ready")
}

func TestOnlyThePoolsSecretHoldsTheDatabasesCredential(t *testing.T) {
	t.Parallel()
	recorded := componenttest.Run(t, create(arguments()))
	own := map[string]any{"kind": "SecretStore", "name": "pgbouncer-login"}
	aws := map[string]any{"kind": "ClusterSecretStore", "name": "myshop-aws"}
	want := func(name, key, property string, store map[string]any) any {
		return map[string]any{
			"secretKey": name, "remoteRef": map[string]any{"key": key, "property": property},
			"sourceRef": map[string]any{"storeRef": store},
		}
	}
	login := []any{
		want("loginUser", "pgbouncer-kept-login", "username", own),
		want("loginPassword", "pgbouncer-kept-login", "password", own),
	}
	assert.Equal(t, login, recorded.Named(t, externalSecret, "pool-consumer-secret").At("spec", "data"))
	assert.Equal(t, append(login,
		want("databaseUser", componenttest.SecretArn, "username", aws),
		want("databasePassword", componenttest.SecretArn, "password", aws),
	), recorded.Named(t, externalSecret, "pool-config").At("spec", "data"))
	for _, resource := range recorded.Each() {
		if strings.Contains(resource.Text(), componenttest.SecretArn) {
			assert.Equal(t, "pool-config", resource.Name)
		}
	}
}

// A credential from the cluster needs no access to AWS. The reader can read it and the login, and nothing else.
func TestACredentialInTheClusterIsReadByThePoolsOwnReader(t *testing.T) {
	t.Parallel()
	args := arguments()
	args.Credential = pgbouncer.Credential{Key: pulumi.String("pgbouncer-database-2")}
	recorded := componenttest.Run(t, create(args))
	role := recorded.One(t, "kubernetes:rbac.authorization.k8s.io/v1:Role")
	assert.Equal(t, []any{"pgbouncer-login", "pgbouncer-kept-login", "pgbouncer-database-2"},
		role.At("rules", 0, "resourceNames"))
	data, _ := recorded.Named(t, externalSecret, "pool-config").At("spec", "data").([]any)
	require.Len(t, data, 4)
	for i, property := range []string{"username", "password"} {
		assert.Equal(t, map[string]any{"key": "pgbouncer-database-2", "property": property},
			componenttest.At(data[2+i], "remoteRef"))
		assert.Equal(t, map[string]any{"kind": "SecretStore", "name": "pgbouncer-login"},
			componenttest.At(data[2+i], "sourceRef", "storeRef"))
	}
	login := recorded.Named(t, externalSecret, "pool-consumer-secret")
	assert.NotContains(t, login.Text(), "pgbouncer-database-2", "the service's own Secret does not contain it")
}

// The operator generates another password when the Secret of one is lost. The pool and the service then still have the
// one that works.
func TestThePoolReadsACopyOfEachGeneratedPassword(t *testing.T) {
	t.Parallel()
	args := arguments()
	args.Credential = pgbouncer.Credential{
		Key: pulumi.String("pgbouncer-database-2"), Generated: "pgbouncer-database-2", Generation: 2,
		User: "myshop_app_b",
	}
	recorded := componenttest.Run(t, create(args))
	for name, want := range map[string]struct{ secret, user, of string }{
		"pool-kept-login":        {"pgbouncer-kept-login", "myshop_api", "pgbouncer-login"},
		"pool-kept-credential-2": {"pgbouncer-kept-database-2", "myshop_app_b", "pgbouncer-database-2"},
	} {
		kept := recorded.Named(t, externalSecret, name)
		assert.Equal(t, want.secret, kept.At("metadata", "name"))
		assert.Equal(t, "CreatedOnce", kept.At("spec", "refreshPolicy"), name)
		assert.Equal(t, map[string]string{"username": want.user, "password": "{{ .password }}"},
			templates(t, recorded, name))
		assert.Equal(t, map[string]any{"key": want.of, "property": "password"},
			kept.At("spec", "data", 0, "remoteRef"), name)
		assert.True(t, kept.DeleteBeforeReplace, "another user makes another copy")
		assert.True(t, recorded.Follows(recorded.Named(t, externalSecret, "pool-config"), kept), name)
	}
	for _, reader := range []string{"pool-config", "pool-consumer-secret"} {
		text := recorded.Named(t, externalSecret, reader).Text()
		assert.NotContains(t, text, `"pgbouncer-login","property"`, reader)
		assert.NotContains(t, text, `"pgbouncer-database-2"`, reader)
	}
	role := recorded.One(t, "kubernetes:rbac.authorization.k8s.io/v1:Role")
	assert.Equal(t, []any{
		"pgbouncer-login", "pgbouncer-kept-login", "pgbouncer-database-2", "pgbouncer-kept-database-2",
	}, role.At("rules", 0, "resourceNames"))
}

func TestExternalSecretsAreOwnedRefreshedAndWaitedFor(t *testing.T) {
	t.Parallel()
	recorded := componenttest.Run(t, create(arguments()))
	for _, secret := range recorded.All(externalSecret) {
		assert.Equal(t, "condition=Ready", secret.At("metadata", "annotations", "pulumi.com/waitFor"), secret.Name)
		assert.Equal(t, "Owner", secret.At("spec", "target", "creationPolicy"), secret.Name)
		assert.Equal(t, "Retain", secret.At("spec", "target", "deletionPolicy"), secret.Name)
		assert.Equal(t, "v2", secret.At("spec", "target", "template", "engineVersion"), secret.Name)
		assert.Equal(t, secret.At("metadata", "name"), secret.At("spec", "target", "name"), secret.Name)
		if secret.Name != "pool-login" && secret.Name != "pool-kept-login" {
			assert.Equal(t, "1m0s", secret.At("spec", "refreshInterval"), secret.Name)
			assert.Nil(t, secret.At("spec", "refreshPolicy"), secret.Name)
		}
	}
	assert.Equal(t, "condition=Ready", recorded.One(t, secretStore).At("metadata", "annotations", "pulumi.com/waitFor"))
	login := recorded.Named(t, externalSecret, "pool-login")
	config := recorded.Named(t, externalSecret, "pool-config")
	deployment := recorded.One(t, deploymentType)
	assert.True(t, recorded.Follows(config, login))
	assert.True(t, recorded.Follows(config, recorded.One(t, secretStore)))
	assert.True(t, recorded.Follows(recorded.Named(t, externalSecret, "pool-consumer-secret"), login))
	assert.True(t, recorded.Follows(deployment, config))
	assert.True(t, recorded.Follows(deployment, recorded.One(t, "kubernetes:networking.k8s.io/v1:NetworkPolicy")))
}

func TestPodsAreRestricted(t *testing.T) {
	t.Parallel()
	deployment := componenttest.Run(t, create(arguments())).One(t, deploymentType)
	pod := componenttest.At(deployment.Inputs, "spec", "template", "spec")
	assert.Equal(t, map[string]any{
		"runAsNonRoot": true, "runAsUser": 10001.0, "runAsGroup": 10001.0, "fsGroup": 10001.0,
		"seccompProfile": map[string]any{"type": "RuntimeDefault"},
	}, componenttest.At(pod, "securityContext"))
	assert.Equal(t, false, componenttest.At(pod, "automountServiceAccountToken"))
	assert.Equal(t, "pgbouncer", componenttest.At(pod, "serviceAccountName"))
	assert.Nil(t, componenttest.At(pod, "shareProcessNamespace"), "the reloader does not need to see PgBouncer's processes")
	for _, container := range []any{
		componenttest.At(pod, "containers", 0),
		componenttest.At(pod, "initContainers", 0),
	} {
		assert.Equal(t, map[string]any{
			"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
			"capabilities": map[string]any{"drop": []any{"ALL"}},
		}, componenttest.At(container, "securityContext"))
		assert.NotNil(t, componenttest.At(container, "resources", "limits", "memory"))
	}
}

func TestPodsComeAndGoWithoutLosingClients(t *testing.T) {
	t.Parallel()
	recorded := componenttest.Run(t, create(arguments()))
	deployment := recorded.One(t, deploymentType)
	assert.Equal(t, map[string]any{
		"type":          "RollingUpdate",
		"rollingUpdate": map[string]any{"maxSurge": 1.0, "maxUnavailable": 0.0},
	}, deployment.At("spec", "strategy"))
	pod := componenttest.At(deployment.Inputs, "spec", "template", "spec")
	assert.EqualValues(t, 120, componenttest.At(pod, "terminationGracePeriodSeconds"))
	container := componenttest.At(pod, "containers", 0)
	assert.Equal(t, map[string]any{"preStop": map[string]any{"sleep": map[string]any{"seconds": 15.0}}},
		componenttest.At(container, "lifecycle"),
		"an earlier signal would make PgBouncer exit at once on the kubelet's")
	assert.Equal(t, map[string]any{
		"tcpSocket": map[string]any{"port": "pgbouncer"}, "periodSeconds": 2.0,
		"timeoutSeconds": 2.0, "failureThreshold": 3.0,
	},
		componenttest.At(container, "readinessProbe"))
	for i, topology := range []string{"topology.kubernetes.io/zone", "kubernetes.io/hostname"} {
		assert.Equal(t, topology, componenttest.At(pod, "topologySpreadConstraints", i, "topologyKey"))
		assert.Equal(t, "ScheduleAnyway", componenttest.At(pod, "topologySpreadConstraints", i, "whenUnsatisfiable"))
	}
	budget := recorded.One(t, "kubernetes:policy/v1:PodDisruptionBudget")
	assert.EqualValues(t, 1, budget.At("spec", "maxUnavailable"))
	assert.Equal(t, deployment.At("spec", "selector"), budget.At("spec", "selector"))
}

func TestTheReloaderWatchesWhatPgBouncerReads(t *testing.T) {
	t.Parallel()
	deployment := componenttest.Run(t, create(arguments())).One(t, deploymentType)
	pod := componenttest.At(deployment.Inputs, "spec", "template", "spec")
	pool, reloader := componenttest.At(pod, "containers", 0), componenttest.At(pod, "initContainers", 0)
	assert.Equal(t, "Always", componenttest.At(reloader, "restartPolicy"), "it is a Kubernetes sidecar")
	assert.Equal(t, componenttest.At(pool, "image"), componenttest.At(reloader, "image"))
	assert.Equal(t, []any{"pgbouncer", pgbouncer.ConfigFile}, componenttest.At(pool, "command"))
	config := map[string]any{"name": "config", "mountPath": "/etc/pgbouncer", "readOnly": true}
	socket := map[string]any{"name": "run", "mountPath": pgbouncer.SocketDir, "readOnly": false}
	assert.Equal(t, []any{config, socket}, componenttest.At(reloader, "volumeMounts"))
	assert.Equal(t, []any{config, socket, map[string]any{
		"name": "ca", "mountPath": "/etc/pgbouncer-ca", "readOnly": true,
	}}, componenttest.At(pool, "volumeMounts"))
	assert.NotContains(t, deployment.Text(), "subPath", "the kubelet does not update such files")
	assert.Equal(t, "pgbouncer-config", componenttest.At(pod, "volumes", 0, "secret", "secretName"))
	for _, container := range []any{pool, reloader} {
		environment := map[string]any{}
		for _, variable := range componenttest.At(container, "env").([]any) {
			environment[componenttest.At(variable, "name").(string)] = componenttest.At(variable, "value")
		}
		assert.Equal(t, map[string]any{
			"PGHOST": pgbouncer.SocketDir, "PGPORT": "6432", "PGUSER": "pgbouncer", "PGDATABASE": "pgbouncer",
			"PGCONNECT_TIMEOUT": "5",
		}, environment)
	}
}

// The pod template must not contain what a refreshed secret or another pool size changes. Otherwise every rotation would
// restart the pool.
func TestPodsStayWhenFilesChange(t *testing.T) {
	t.Parallel()
	before := componenttest.Run(t, create(arguments())).One(t, deploymentType).Text()
	args := arguments()
	args.DefaultPoolSize, args.PoolMode, args.RefreshInterval = 10, pgbouncer.Session, 30
	args.Databases[0].Host = pulumi.String("another.example")
	args.Credential.Key = pulumi.String("arn:aws:secretsmanager:ap-northeast-2:111122223333:secret:other")
	assert.Equal(t, before, componenttest.Run(t, create(args)).One(t, deploymentType).Text())
	args.CABundle += anotherAuthority
	assert.NotEqual(t, before, componenttest.Run(t, create(args)).One(t, deploymentType).Text(),
		"another bundle replaces the pods")
}

func TestTheNetworkPolicyLetsInTheServiceAndOutToTheDatabase(t *testing.T) {
	t.Parallel()
	policy := componenttest.Run(t, create(arguments())).One(t, "kubernetes:networking.k8s.io/v1:NetworkPolicy")
	tcp := func(port float64) any { return map[string]any{"port": port, "protocol": "TCP"} }
	assert.Equal(t, map[string]any{
		"podSelector": map[string]any{"matchLabels": map[string]any{"app.kubernetes.io/name": "pgbouncer"}},
		"policyTypes": []any{"Ingress", "Egress"},
		"ingress": []any{map[string]any{
			"from": []any{map[string]any{"podSelector": map[string]any{
				"matchLabels": map[string]any{"app.kubernetes.io/name": "myshop-api"},
			}}},
			"ports": []any{tcp(6432)},
		}},
		"egress": []any{
			map[string]any{"ports": []any{map[string]any{"port": 53.0, "protocol": "UDP"}, tcp(53)}},
			map[string]any{"ports": []any{tcp(5432)}},
		},
	}, policy.Inputs["spec"])

	args := arguments()
	args.Clients = []pgbouncer.Client{
		{Namespace: "myshop", Labels: map[string]string{"app": "worker"}},
		{Namespace: "reports", Labels: map[string]string{"app": "cron"}},
	}
	args.DatabaseCIDRs = []string{"10.0.64.0/20", "10.0.80.0/20"}
	args.Databases = append(args.Databases, pgbouncer.Database{
		Name: "reports", Host: pulumi.String(host), Port: pulumi.Int(5433),
	})
	spec := componenttest.Run(t, create(args)).One(t, "kubernetes:networking.k8s.io/v1:NetworkPolicy").Inputs["spec"]
	assert.Equal(t, []any{
		map[string]any{"podSelector": map[string]any{"matchLabels": map[string]any{"app": "worker"}}},
		map[string]any{
			"podSelector": map[string]any{"matchLabels": map[string]any{"app": "cron"}},
			"namespaceSelector": map[string]any{"matchLabels": map[string]any{
				"kubernetes.io/metadata.name": "reports",
			}},
		},
	}, componenttest.At(spec, "ingress", 0, "from"))
	assert.Equal(t, map[string]any{
		"to": []any{
			map[string]any{"ipBlock": map[string]any{"cidr": "10.0.64.0/20"}},
			map[string]any{"ipBlock": map[string]any{"cidr": "10.0.80.0/20"}},
		},
		"ports": []any{tcp(5432), tcp(5433)},
	}, componenttest.At(spec, "egress", 1))
}

func TestTheBundleIsAnObjectPerContent(t *testing.T) {
	t.Parallel()
	first := componenttest.Run(t, create(arguments())).One(t, "kubernetes:core/v1:ConfigMap")
	assert.Equal(t, strings.TrimSpace(authority)+"\n", first.At("data", "ca.pem"))
	assert.Equal(t, true, first.Inputs["immutable"])
	args := arguments()
	args.CABundle = anotherAuthority
	second := componenttest.Run(t, create(args)).One(t, "kubernetes:core/v1:ConfigMap")
	assert.NotEqual(t, first.At("metadata", "name"), second.At("metadata", "name"))
}

func TestSecretAndDependentInputsStayWhatTheyAre(t *testing.T) {
	t.Parallel()
	recorded := componenttest.Run(t, func(ctx *pulumi.Context) error {
		namespace, err := corev1.NewNamespace(ctx, "namespace",
			&corev1.NamespaceArgs{Metadata: &metav1.ObjectMetaArgs{Name: pulumi.String("myshop")}})
		if err != nil {
			return err
		}
		store, err := corev1.NewSecret(ctx, "store",
			&corev1.SecretArgs{Metadata: &metav1.ObjectMetaArgs{Name: pulumi.String("myshop-aws")}})
		if err != nil {
			return err
		}
		args := arguments()
		args.Databases[0].Host = pulumi.ToSecret(pulumi.String(host)).(pulumi.StringOutput)
		args.Credential.Store.Name = store.Metadata.Name().Elem()
		args.DependsOn = []pulumi.Resource{namespace}
		_, err = pgbouncer.NewPgBouncerPool(ctx, "pool", args)
		return err
	})
	config := recorded.Named(t, externalSecret, "pool-config")
	assert.Contains(t, strings.Join(config.Secrets, " "), "spec", "a file with a secret host is secret")
	assert.True(t, recorded.Follows(config, recorded.Named(t, "kubernetes:core/v1:Secret", "store")))
	namespace := recorded.Named(t, "kubernetes:core/v1:Namespace", "namespace")
	for _, child := range recorded.Each() {
		if strings.HasPrefix(child.Name, "pool-") {
			assert.True(t, recorded.Follows(child, namespace), child.Name)
		}
	}
}

func TestOptionsOfTheComponentStayWithIt(t *testing.T) {
	t.Parallel()
	recorded := componenttest.Run(t, create(arguments(), pulumi.IgnoreChanges([]string{"spec"})))
	assert.Equal(t, []string{"spec"}, recorded.One(t, pgbouncer.Type).IgnoreChanges)
	assert.Empty(t, recorded.One(t, deploymentType).IgnoreChanges)
}

func TestAPreviewNeedsNoAddress(t *testing.T) {
	t.Parallel()
	recorded := componenttest.Run(t, func(ctx *pulumi.Context) error {
		args := arguments()
		args.Databases[0].Host = pulumi.UnsafeUnknownOutput(nil).ApplyT(func(any) string {
			return ""
		}).(pulumi.StringOutput)
		_, err := pgbouncer.NewPgBouncerPool(ctx, "pool", args)
		return err
	}, componenttest.Preview())
	assert.Equal(t, 5, recorded.Types()[externalSecret])
	assert.Equal(t, 1, recorded.Types()[deploymentType])
}

func TestAnInvalidHostStopsTheRun(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "a b", "x' user='root", "{{ .databasePassword }}", "a,b", "/run/socket"} {
		args := arguments()
		args.Databases[0].Host = pulumi.String(text)
		_, err := componenttest.Try(create(args))
		assert.ErrorContains(t, err, fmt.Sprintf("databases[0].host: %q: want the name of a host", text))
	}
}

func TestEveryFaultIsReportedBeforeAnythingIsCreated(t *testing.T) {
	t.Parallel()
	recorded, err := componenttest.Try(create(&pgbouncer.PgBouncerPoolArgs{
		Settings: pgbouncer.Settings{
			Name: "1PgBouncer", Image: "a b", ReloaderImage: "-", Command: []string{"pgbouncer", ""},
			PoolMode: "statement", MaxClientConn: 10,
			DefaultPoolSize: 20, ReservePoolSize: -1, MaxPreparedStatements: -1,
			IgnoreStartupParameters: []string{"options", "options", "a b"},
			Port:                    70000, ContainerPort: 432, UID: 0, TerminationGracePeriodSeconds: 5,
		},
		Service: "My Shop", Namespace: "*", LoginUser: "pgbouncer", ConsumerSecret: "a/b",
		Databases:     []pgbouncer.Database{{Name: "my-shop"}, {Name: "pgbouncer"}, {Name: "pgbouncer", DBName: "a b"}},
		Credential:    pgbouncer.Credential{Store: eso.StoreRef{Kind: "Store"}},
		CABundle:      "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
		Clients:       []pgbouncer.Client{{Namespace: "*"}, {Labels: map[string]string{"app": "a b"}}},
		DatabaseCIDRs: []string{"10.0.0.0"},
	}))
	require.Error(t, err)
	assert.Empty(t, recorded.Each())
	for _, fault := range []string{
		`PgBouncerPool pool: name: "1PgBouncer": want 1 to 50 lower-case letters`,
		`replicas: 0: want 1 to 50`,
		`image: "a b": has white space; want the name of an image`,
		`reloaderImage: "-": want the name of an image`,
		`command: ["pgbouncer",""]: want pgbouncer's command as a list`,
		`poolMode: "statement": want one of transaction, session`,
		`defaultPoolSize: 20: is more than maxClientConn (10)`,
		`reservePoolSize: -1: want 0 to 5000`,
		`maxPreparedStatements: -1: want 0 to 10000`,
		`serverLifetime: 0: want 60 to 86400 seconds`,
		`serverIdleTimeout: 0: want`,
		`queryWaitTimeout: 0: want`,
		`serverLoginRetry: 0: want`,
		`serverConnectTimeout: 0: want`,
		`tcpKeepIdle: 0: want`,
		`tcpKeepIntvl: 0: want`,
		`tcpKeepCnt: 0: want`,
		`tcpUserTimeout: 0: want 1000 to 600000 milliseconds`,
		`dnsMaxTtl: 0: want`,
		`ignoreStartupParameters[1]: "options": is named twice`,
		`ignoreStartupParameters[2]: "a b": want the name of a startup parameter`,
		`port: 70000: want 1 to 65535`,
		`containerPort: 432: want 1024 to 65535`,
		`uid: 0: want 10001 to 2147483647`,
		`drainSeconds: 0: want 1 to 300 seconds`,
		`terminationGracePeriodSeconds: 5: want at least 10 seconds more than drainSeconds`,
		`refreshInterval: 0: want 10 to 3600 seconds`,
		`resources.cpuRequest: "": want a number of processors`,
		`service: "My Shop": want`,
		`namespace: "*": want`,
		`databases[0].name: "my-shop": want 1 to 63 letters`,
		`databases[0].host: is missing`,
		`databases[0].port: is missing`,
		`databases[1].name: "pgbouncer": want`,
		`databases[2].name: "pgbouncer": is named twice`,
		`databases[2].dbName: "a b": want`,
		`credential.store.kind: "Store": want one of SecretStore, ClusterSecretStore`,
		`credential.store.name: is missing`,
		`credential.key: is missing`,
		`caBundle: certificate 1 is not a certificate: x509: malformed certificate; want the certificates of RDS's authorities in PEM`,
		`loginUser: "pgbouncer": want`,
		`consumerSecret: "a/b": want`,
		`clients[0].namespace: "*": want`,
		`clients[0].labels: is missing: without labels every pod of the namespace could connect`,
		`clients[1].labels: "app=a b": want a label`,
		`databaseCidrs[0]: "10.0.0.0": want an address range`,
	} {
		assert.ErrorContains(t, err, fault)
	}
}

func TestFaultsOneByOne(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*pgbouncer.PgBouncerPoolArgs)
		fault  string
	}{
		"defaults":          {func(*pgbouncer.PgBouncerPoolArgs) {}, ""},
		"session pooling":   {func(a *pgbouncer.PgBouncerPoolArgs) { a.PoolMode = pgbouncer.Session }, ""},
		"no reloader image": {func(a *pgbouncer.PgBouncerPoolArgs) { a.ReloaderImage = "" }, ""},
		"nothing to pool":   {func(a *pgbouncer.PgBouncerPoolArgs) { a.Databases = nil }, "databases: is missing"},
		"no bundle": {
			func(a *pgbouncer.PgBouncerPoolArgs) { a.CABundle = "" },
			"caBundle: is not a list of PEM certificates",
		},
		"a key in the bundle": {func(a *pgbouncer.PgBouncerPoolArgs) {
			a.CABundle = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"
		}, "caBundle: holds a private key; only"},
		"secret twice": {
			func(a *pgbouncer.PgBouncerPoolArgs) { a.ConsumerSecret = "pgbouncer-login" },
			"is the name of another Secret of the pool",
		},
		"no time to drain": {
			func(a *pgbouncer.PgBouncerPoolArgs) { a.DrainSeconds = 115 },
			"terminationGracePeriodSeconds: 120: want at least 10 seconds more than drainSeconds (115)",
		},
		"a long name": {func(a *pgbouncer.PgBouncerPoolArgs) { a.Name = strings.Repeat("p", 51) }, "name: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := arguments()
			c.change(args)
			recorded, err := componenttest.Try(create(args))
			if c.fault == "" {
				assert.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, c.fault)
			assert.Empty(t, recorded.Each())
		})
	}
}

func TestWithoutArgumentsThereIsAnError(t *testing.T) {
	t.Parallel()
	_, err := componenttest.Try(create(nil))
	assert.ErrorContains(t, err, "PgBouncerPool pool: no arguments given")
}

func TestTheArgumentsStayTheCallers(t *testing.T) {
	t.Parallel()
	args := arguments()
	componenttest.Run(t, create(args))
	assert.Empty(t, args.ReloaderImage)
	assert.Empty(t, args.Databases[0].DBName)
	assert.Empty(t, args.Clients)
	args.Logins = []pgbouncer.Login{reports()}
	componenttest.Run(t, create(args))
	assert.Empty(t, args.Logins[0].Secret)
}

// nasty are passwords that break careless quoting, with every character that RDS may generate, and others.
var nasty = []string{
	`plain`, `a"b`, `""`, `a'b''`, `{{ .x }}`, `%41+%`, `a:b@c/d?e#f&g=h`, `back\slash\`, `$(id) ${HOME} ` + "`id`",
	`*?[]!~`, `;comment`, `#comment`,
	`ümläut€`, `a b`, `<>|^`, `-_.~`, `"`, `'`, `\"`, `,`, `%%`,
}

func secrets() map[string]string {
	return map[string]string{
		"loginUser": "myshop_api", "loginPassword": "l0gin", "databaseUser": "myshop_admin",
		"databasePassword": "d4tabase",
	}
}

// templates returns the templates of an ExternalSecret.
func templates(t *testing.T, recorded *componenttest.Recording, name string) map[string]string {
	t.Helper()
	out := map[string]string{}
	for key, text := range recorded.Named(t, externalSecret, name).At("spec", "target", "template",
		"data").(map[string]any) {
		out[key] = text.(string)
	}
	return out
}

// fill renders templates as the operator does, with the two functions of sprig that the templates use.
func fill(text string, values map[string]string) (string, error) {
	parsed, err := template.New("").Option("missingkey=error").Funcs(template.FuncMap{
		"replace": func(old, replacement, in string) string { return strings.ReplaceAll(in, old, replacement) },
		"fail":    func(reason string) (string, error) { return "", errors.New(reason) },
	}).Parse(text)
	if err != nil {
		return "", err
	}
	var out bytes.Buffer
	err = parsed.Execute(&out, values)
	return out.String(), err
}

func render(t *testing.T, text string, values map[string]string) string {
	t.Helper()
	out, err := fill(text, values)
	require.NoError(t, err)
	return out
}

// parseINI parses a file by PgBouncer's rules: sections with one key per line.
func parseINI(t *testing.T, text string) map[string]map[string]string {
	t.Helper()
	out := map[string]map[string]string{}
	section := ""
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || line[0] == ';' || line[0] == '#':
		case line[0] == '[':
			section = strings.Trim(line, "[]")
			out[section] = map[string]string{}
		default:
			key, value, found := strings.Cut(line, " = ")
			require.True(t, found, line)
			require.NotContains(t, out[section], key)
			out[section][key] = value
		}
	}
	return out
}
