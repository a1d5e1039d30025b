package registry_test

import (
	"strings"

	"dbtier/policy/ruletest"
)

// at returns a path below the pod spec of a Deployment or Job.
func at(steps ...any) path { return append(path{"spec", "template", "spec"}, steps...) }

func setAt(value any, steps ...any) ruletest.Change { return set(value, at(steps...)...) }

func dropAt(steps ...any) ruletest.Change { return drop(at(steps...)...) }

// security returns a path below the security context of the first container.
func security(steps ...any) path {
	return append(at("containers", 0, "securityContext"), steps...)
}

func podSecurityExamples() []example {
	pool := func(name string, unknown path, breaks ...ruletest.Change) example {
		return example{rule: name, of: "pool-deployment", breaks: breaks, unknown: []path{unknown, {"spec"}}}
	}
	return []example{
		pool("k8s-host-namespaces", at("hostPID"), setAt(true, "hostNetwork"), setAt(true, "hostPID"),
			setAt(true, "hostIPC")),
		pool("k8s-host-process", security("windowsOptions"), set(true, security("windowsOptions", "hostProcess")...),
			setAt(true, "securityContext", "windowsOptions", "hostProcess")),
		pool("k8s-privileged", security("privileged"), set(true, security("privileged")...),
			setAt(true, "initContainers", 0, "securityContext", "privileged")),
		{
			rule: "k8s-privilege-escalation", literal: made("kubernetes:apps/v1:DeploymentPatch", map[string]any{
				"spec": map[string]any{"template": map[string]any{"spec": map[string]any{
					"containers": []any{map[string]any{"name": "a", "resources": map[string]any{}}},
				}}},
			}),
			breaks: []ruletest.Change{
				setAt("a:1", "containers", 0, "image"), set(true, security("allowPrivilegeEscalation")...),
			},
			keeps: []ruletest.Change{dropAt("containers"), setAt(map[string]any{"name": "windows"}, "os")},
		},
		pool("k8s-privilege-escalation", security("allowPrivilegeEscalation"),
			set(true, security("allowPrivilegeEscalation")...), drop(security("allowPrivilegeEscalation")...),
			drop(security()...)),
		pool("k8s-run-as-non-root", at("securityContext", "runAsNonRoot"),
			setAt(false, "securityContext", "runAsNonRoot"), dropAt("securityContext", "runAsNonRoot"),
			setAt(0, "securityContext", "runAsUser"), set(false, security("runAsNonRoot")...)),
		pool("k8s-high-uid", at("securityContext", "runAsUser"), setAt(70, "securityContext", "runAsUser"),
			dropAt("securityContext", "runAsGroup")),
		pool("k8s-capabilities", security("capabilities", "drop"), drop(security("capabilities")...),
			set([]any{"SYS_ADMIN"}, security("capabilities", "add")...),
			set([]any{"NET_RAW"}, security("capabilities", "drop")...)),
		{
			rule: "k8s-capabilities", of: "pool-deployment",
			keeps: []ruletest.Change{set([]any{"NET_BIND_SERVICE"}, security("capabilities", "add")...)},
		},
		pool("k8s-seccomp", at("securityContext", "seccompProfile"), dropAt("securityContext", "seccompProfile"),
			set("Unconfined", security("seccompProfile", "type")...)),
		pool("k8s-read-only-root", security("readOnlyRootFilesystem"),
			set(false, security("readOnlyRootFilesystem")...), drop(security("readOnlyRootFilesystem")...)),
		pool("k8s-volume-types", at("volumes"), setAt(
			map[string]any{"name": "a", "hostPath": map[string]any{"path": "/var/run/docker.sock"}}, "volumes", 0,
		)),
		pool("k8s-probe-hosts", at("containers", 0, "readinessProbe"),
			setAt("192.0.2.1", "containers", 0, "readinessProbe", "httpGet", "host"),
			setAt("192.0.2.1", "containers", 0, "startupProbe", "tcpSocket", "host"),
			setAt("192.0.2.1", "initContainers", 0, "livenessProbe", "httpGet", "host"),
			setAt("192.0.2.1", "containers", 0, "lifecycle", "postStart", "httpGet", "host"),
			setAt("192.0.2.1", "containers", 0, "lifecycle", "preStop", "tcpSocket", "host")),
		pool("k8s-host-port", at("containers", 0, "ports", 0, "hostPort"),
			setAt(6432, "containers", 0, "ports", 0, "hostPort")),
		pool("k8s-privileged-port", at("containers", 0, "ports", 0, "containerPort"),
			setAt(80, "containers", 0, "ports", 0, "containerPort")),
		pool("k8s-proc-mount", security("procMount"), set("Unmasked", security("procMount")...)),
		pool("k8s-selinux", security("seLinuxOptions"), set("spc_t", security("seLinuxOptions", "type")...),
			setAt("system_u", "securityContext", "seLinuxOptions", "user")),
		pool("k8s-apparmor", security("appArmorProfile"), set("Unconfined", security("appArmorProfile", "type")...),
			set("unconfined", "spec", "template", "metadata", "annotations",
				"container.apparmor.security.beta.kubernetes.io/pgbouncer")),
		pool("k8s-sysctls", at("securityContext", "sysctls"),
			setAt([]any{map[string]any{"name": "kernel.msgmax", "value": "1"}}, "securityContext", "sysctls")),
	}
}

func podQualityExamples() []example {
	pool := func(name string, unknown path, breaks ...ruletest.Change) example {
		return example{rule: name, of: "pool-deployment", breaks: breaks, unknown: []path{unknown}}
	}
	first := func(steps ...any) path { return append(at("containers", 0), steps...) }
	probe := map[string]any{"tcpSocket": map[string]any{"port": 1}}
	const own = "123456789012.dkr.ecr.ap-northeast-2.amazonaws.com"
	registries := map[string]any{"registries": []any{own}}
	return []example{
		pool("k8s-readiness-probe", first("readinessProbe"), drop(first("readinessProbe")...)),
		pool("k8s-liveness-probe", first("livenessProbe"), drop(first("livenessProbe")...)),
		{
			rule: "k8s-probes-differ", of: "pool-deployment",
			breaks: []ruletest.Change{
				setAt([]any{map[string]any{"name": "a", "livenessProbe": probe, "readinessProbe": probe}},
					"containers"),
			},
			keeps:   []ruletest.Change{drop(first("livenessProbe")...)},
			unknown: []path{first("livenessProbe"), first("readinessProbe")},
		},
		pool("k8s-requests", first("resources"), drop(first("resources", "requests", "cpu")...),
			drop(first("resources", "requests", "memory")...)),
		pool("k8s-memory-limit", first("resources", "limits"), drop(first("resources", "limits", "memory")...)),
		pool("k8s-cpu-limit", first("resources", "limits", "cpu"), drop(first("resources", "limits", "cpu")...)),
		{
			rule: "k8s-image-tag", of: "pool-deployment",
			breaks: []ruletest.Change{
				set("edoburu/pgbouncer", first("image")...),
				set("edoburu/pgbouncer:latest", first("image")...), set("host:5000/pgbouncer", first("image")...),
			},
			keeps:   []ruletest.Change{set("host:5000/pgbouncer@sha256:0123", first("image")...)},
			unknown: []path{first("image")},
		},
		{
			rule: "k8s-image-digest", literal: made("kubernetes:core/v1:Pod",
				map[string]any{"spec": map[string]any{"containers": []any{map[string]any{"image": "a@sha256:0123"}}}}),
			breaks:  []ruletest.Change{set("a:1", "spec", "containers", 0, "image")},
			unknown: []path{{"spec", "containers", 0, "image"}},
		},
		{
			rule: "k8s-image-registry", of: "pool-deployment", config: registries,
			breaks:  []ruletest.Change{set(own+".example.com/a:1", first("image")...)},
			unknown: []path{first("image")},
		},
		{rule: "k8s-image-registry", of: "consumer-deployment"},
		pool("k8s-service-account", at("serviceAccountName"), dropAt("serviceAccountName"),
			setAt("default", "serviceAccountName")),
		pool("k8s-service-account-token", at("automountServiceAccountToken"), dropAt("automountServiceAccountToken")),
		{
			rule: "k8s-service-account-token", of: "pool-account",
			breaks:  []ruletest.Change{drop("automountServiceAccountToken")},
			unknown: []path{{"automountServiceAccountToken"}},
		},
		{
			rule: "k8s-service-account-token", literal: made("kubernetes:batch/v1:CronJob",
				map[string]any{"spec": map[string]any{"jobTemplate": map[string]any{
					"spec": map[string]any{"template": map[string]any{
						"spec": map[string]any{"automountServiceAccountToken": false},
					}},
				}}}),
			breaks:  []ruletest.Change{set(map[string]any{}, "spec", "jobTemplate", "spec", "template", "spec")},
			unknown: []path{{"spec", "jobTemplate"}},
		},
		pool("k8s-empty-dir-limit", at("volumes", 2, "emptyDir"),
			setAt(map[string]any{"medium": "Memory"}, "volumes", 2, "emptyDir")),
		pool("k8s-labels", path{"metadata", "labels"}, drop("metadata", "labels"),
			drop("metadata", "labels", "app.kubernetes.io/name")),
		pool("k8s-replicas", path{"spec", "replicas"}, set(1, "spec", "replicas"), drop("spec", "replicas")),
	}
}

func kubernetesExamples() []example {
	rules := func(verbs, resources, groups []any) []any {
		return []any{map[string]any{"verbs": verbs, "resources": resources, "apiGroups": groups}}
	}
	rbac := []any{"rbac.authorization.k8s.io"}
	core := []any{""}
	reader := func(name string, breaks ...ruletest.Change) example {
		return example{
			rule: name, of: "pool-login-reader-role", breaks: breaks,
			unknown: []path{{"rules"}, {"rules", 0, "verbs"}},
		}
	}
	operator := made("kubernetes:rbac.authorization.k8s.io/v1:ClusterRole", map[string]any{
		"metadata": map[string]any{"name": "external-secrets-controller"},
		"rules":    rules([]any{"list"}, []any{"secrets"}, core),
	})
	config := func(key, text string) ruletest.Change { return set(text, "data", key) }
	variable := func(name string, value any) ruletest.Change {
		return setAt([]any{map[string]any{"name": name, "value": value}}, "containers", 0, "env")
	}
	return []example{
		{
			rule: "crds-retained",
			literal: made("kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinition", map[string]any{
				"metadata": map[string]any{"annotations": map[string]any{"helm.sh/resource-policy": "keep"}},
				"spec":     map[string]any{"group": "a"},
			}),
			breaks: []ruletest.Change{
				drop("metadata", "annotations"),
				set("delete", "metadata", "annotations", "helm.sh/resource-policy"),
			},
			unknown: []path{{"metadata", "annotations"}},
		},
		{
			rule: "k8s-no-bare-pod",
			literal: made("kubernetes:core/v1:Pod", map[string]any{
				"metadata": map[string]any{"ownerReferences": []any{map[string]any{"kind": "ReplicaSet"}}},
			}),
			breaks: []ruletest.Change{drop("metadata")}, unknown: []path{{"metadata"}},
		},
		{
			rule: "k8s-namespace", of: "pool-service",
			breaks:  []ruletest.Change{drop("metadata", "namespace"), set("default", "metadata", "namespace")},
			unknown: []path{{"metadata", "namespace"}},
		},
		{
			rule: "k8s-namespace-pod-security", of: "namespace-namespace",
			breaks: []ruletest.Change{
				drop("metadata", "labels"), set("baseline", "metadata", "labels", "pod-security.kubernetes.io/enforce"),
				drop("metadata", "labels", "pod-security.kubernetes.io/enforce"),
			},
			unknown: []path{{"metadata", "labels"}},
		},
		{
			rule: "k8s-namespace-pod-security", literal: made("kubernetes:core/v1:Namespace",
				map[string]any{"metadata": map[string]any{"name": "kube-system"}}),
			breaks: []ruletest.Change{set("other", "metadata", "name")},
		},
		{
			rule: "k8s-service-inside", of: "pool-service",
			breaks: []ruletest.Change{
				set("LoadBalancer", "spec", "type"), set("NodePort", "spec", "type"),
				set([]any{"192.0.2.1"}, "spec", "externalIPs"),
			},
			unknown: []path{{"spec", "type"}, {"spec"}},
		},
		{
			rule: "k8s-disruption-budget", of: "pool-disruption-budget",
			breaks: []ruletest.Change{
				set(0, "spec", "maxUnavailable"), set("0%", "spec", "maxUnavailable"),
				set("100%", "spec", "minAvailable"),
			},
			unknown: []path{{"spec", "maxUnavailable"}},
		},
		{
			rule: "k8s-network-policy-selects", of: "pool-network",
			breaks: []ruletest.Change{
				set([]any{map[string]any{}}, "spec", "ingress"), set([]any{}, "spec", "ingress", 0, "from"),
				set([]any{map[string]any{"ipBlock": map[string]any{"cidr": "0.0.0.0/0"}}}, "spec", "ingress", 0,
					"from"),
			},
			keeps:   []ruletest.Change{drop("spec", "ingress")},
			unknown: []path{{"spec", "ingress"}, {"spec", "ingress", 0, "from"}},
		},
		{
			rule: "k8s-no-credentials-in-config", of: "consumer-config",
			breaks: []ruletest.Change{
				config("DB", "postgresql://myshop:hunter22@db/x"), config("PGPASSWORD", "hunter22"),
				config("API_KEY", "hunter22"), config("SECRET_KEY_BASE", "kR9vTq2LmXa81bQ0"),
				config("DB", "jdbc:postgresql://db/x?user=myshop&password=hunter22"),
				config("key.pem", "-----BEGIN RSA PRIVATE"+" KEY-----\nabc"), config("aws", "AKIA"+"ABCDEFGHIJKLMNOP"),
				config("users", "\"myshop\" \"hunter22\"\n"),
			},
			keeps: []ruletest.Change{
				config("TOKEN", "/var/run/token"), config("FORGOT_PASSWORD", "true"),
				config("DB", "postgresql://db.example.com/x"),
				config("PASSWORD", "{{ .password }}"),
			},
			unknown: []path{{"data"}, {"data", "LOG_LEVEL"}},
		},
		{
			rule: "k8s-no-credentials-in-config", of: "consumer-deployment",
			breaks: []ruletest.Change{
				variable("DB_PASSWORD", "hunter22"),
				variable("DATABASE_URL", "postgresql://myshop:hunter22@db/x"),
			},
			keeps:   []ruletest.Change{variable("LOG_LEVEL", "info")},
			unknown: []path{at("containers", 0, "env"), at("containers")},
		},
		{
			rule: "k8s-default-account", literal: made("kubernetes:rbac.authorization.k8s.io/v1:RoleBinding",
				map[string]any{"subjects": []any{map[string]any{"kind": "ServiceAccount", "name": "shop"}}}),
			breaks:  []ruletest.Change{set("default", "subjects", 0, "name")},
			keeps:   []ruletest.Change{set([]any{map[string]any{"kind": "Group", "name": "default"}}, "subjects")},
			unknown: []path{{"subjects"}, {"subjects", 0, "name"}},
		},
		{
			rule: "k8s-default-account", literal: made("kubernetes:core/v1:ServiceAccount",
				map[string]any{"metadata": map[string]any{"name": "default"}, "automountServiceAccountToken": false}),
			breaks: []ruletest.Change{
				drop("automountServiceAccountToken"), set(true, "automountServiceAccountToken"),
			},
			keeps: []ruletest.Change{set(map[string]any{"name": "shop"}, "metadata")},
		},
		reader("k8s-rbac-wildcards", set(rules([]any{"*"}, []any{"pods"}, core), "rules"),
			set(rules([]any{"get"}, []any{"*"}, core), "rules"),
			set(rules([]any{"get"}, []any{"pods"}, []any{"*"}), "rules")),
		reader("k8s-rbac-escalation", set(rules([]any{"impersonate"}, []any{"users"}, core), "rules"),
			set(rules([]any{"escalate"}, []any{"roles"}, rbac), "rules"),
			set(rules([]any{"create"}, []any{"rolebindings"}, rbac), "rules"),
			set(rules([]any{"patch"}, []any{"validatingwebhookconfigurations"}, []any{"admissionregistration.k8s.io"}),
				"rules"),
			set(rules([]any{"update"}, []any{"certificatesigningrequests/approval"}, []any{"certificates.k8s.io"}),
				"rules"),
			set(rules([]any{"update"}, []any{"*/approval"}, []any{"*"}), "rules"),
			set(rules([]any{"*"}, []any{"*"}, core), "rules"),
			set(rules([]any{"create"}, []any{"serviceaccounts/token"}, core), "rules"),
			set(rules([]any{"get"}, []any{"*/proxy"}, core), "rules")),
		{
			rule: "k8s-rbac-escalation", of: "pool-login-reader-role", keeps: []ruletest.Change{
				set(rules([]any{"bind"}, []any{"pods"}, []any{"*"}), "rules"),
				set(rules([]any{"*"}, []any{"pods"}, []any{"*"}), "rules"),
				set(rules([]any{"impersonate"}, []any{"users"}, []any{"example.com"}), "rules"),
				set(rules([]any{"create"}, []any{"pods/log"}, core), "rules"),
				set(rules([]any{"create"}, []any{"pods/*"}, core), "rules"),
			},
		},
		reader("k8s-rbac-secrets", set(rules([]any{"get"}, []any{"secrets"}, core), "rules"),
			set([]any{"get", "list"}, "rules", 0, "verbs"), drop("rules", 0, "resourceNames")),
		{rule: "k8s-rbac-secrets", literal: operator, breaks: []ruletest.Change{set("somebody", "metadata", "name")}},
	}
}

// ini replaces a line in the pool's configuration.
func ini(from, to string) ruletest.Change {
	return set(strings.Replace(iniText, from, to, 1), "spec", "target", "template", "data", "pgbouncer.ini")
}

const iniText = `[databases]
myshop = host='db.example.com' port='5432' dbname='myshop' user='{{ .databaseUser }}'

[pgbouncer]
auth_type = scram-sha-256
default_pool_size = 20
max_db_connections = 20
server_login_retry = 1
server_tls_sslmode = verify-full
server_tls_ca_file = /etc/pgbouncer-ca/ca.pem
`

func poolExamples() []example {
	file := path{"spec", "target", "template", "data", "pgbouncer.ini"}
	config := func(name string, breaks ...ruletest.Change) example {
		return example{
			rule: name, of: "pool-config", breaks: breaks, keeps: []ruletest.Change{ini("", "")},
			unknown: []path{file, {"spec", "target"}},
		}
	}
	deployment := func(name string, unknown path, breaks ...ruletest.Change) example {
		return example{rule: name, of: "pool-deployment", breaks: breaks, unknown: []path{unknown}}
	}
	return []example{
		config("pool-verifies-database", ini("verify-full", "require"), ini("server_tls_sslmode = verify-full\n", ""),
			ini("server_tls_ca_file = /etc/pgbouncer-ca/ca.pem\n", "")),
		config("pool-authentication", ini("scram-sha-256", "trust"), ini("scram-sha-256", "any"),
			ini("auth_type = scram-sha-256\n", "")),
		{
			rule: "pool-authentication", of: "pool-config",
			breaks: []ruletest.Change{
				set("host shop orders 0.0.0.0/0 trust\n", "spec", "target", "template", "data", "hba.conf"),
				set("# nothing\nhost shop orders 0.0.0.0/0 md5\n", "spec", "target", "template", "data", "hba.conf"),
				set("host shop cert 0.0.0.0/0 trust\n", "spec", "target", "template", "data", "hba.conf"),
				set("host shop orders peer\n", "spec", "target", "template", "data", "hba.conf"),
				// Trust is for readers of the console's statistics, on the socket.
				set("local pgbouncer pgbouncer trust\n", "spec", "target", "template", "data", "hba.conf"), //nolint:dupword // hba
				set("local shop orders trust\n", "spec", "target", "template", "data", "hba.conf"),
				set("local pgbouncer metrics trust\n", "spec", "target", "template", "data", "hba.conf"),
				drop("spec", "target", "template", "data", "hba.conf"),
			},
			keeps: []ruletest.Change{set("local shop orders peer map=a\nhost shop orders 0.0.0.0/0 reject\n", "spec",
				"target", "template", "data", "hba.conf")},
			unknown: []path{{"spec", "target", "template", "data", "hba.conf"}},
		},
		config("pool-bounded", ini("max_db_connections = 20\n", ""),
			ini("max_db_connections = 20", "max_db_connections = 0")),
		config("pool-login-retry", ini("server_login_retry = 1", "server_login_retry = 15"),
			ini("server_login_retry = 1\n", "")),
		{
			rule: "pool-verifies-database", literal: made("kubernetes:core/v1:ConfigMap",
				map[string]any{"data": map[string]any{"pgbouncer.ini": iniText}}),
			breaks: []ruletest.Change{set(strings.Replace(iniText, "verify-full", "prefer", 1), "data",
				"pgbouncer.ini")},
		},
		{
			rule: "pool-config-is-secret", of: "pool-ca",
			breaks: []ruletest.Change{set("\"a\" \"b\"", "data", "userlist.txt")}, unknown: []path{{"data"}},
		},
		{
			rule: "pool-version", of: "pool-deployment",
			breaks: []ruletest.Change{
				setAt("edoburu/pgbouncer:v1.24.1-p1", "containers", 0, "image"),
				setAt("host:5000/pgbouncer:1.9", "containers", 0, "image"),
				setAt("pgbouncer:1.24.1-1_deb13u1", "containers", 0, "image"),
				setAt("pgbouncer:1.24.1-1_deb12u9", "containers", 0, "image"),
				setAt("edoburu/pgbouncer:v1.26.0-p0", "containers", 0, "image"),
				setAt("pgbouncer:1.26@sha256:0123", "containers", 0, "image"),
			},
			keeps: []ruletest.Change{
				setAt("pgbouncer@sha256:0123", "containers", 0, "image"),
				setAt("edoburu/pgbouncer:v1.25.2-p0", "containers", 0, "image"),
				setAt("pgbouncer:1.24.1-1_deb13u2", "containers", 0, "image"),
				setAt("pgbouncer:1.24.1-1_deb13u10", "containers", 0, "image"),
				setAt("prometheuscommunity/pgbouncer-exporter:v0.12.1", "containers", 0, "image"),
			},
			unknown: []path{at("containers", 0, "image")},
		},
		deployment("pool-replicas", path{"spec", "replicas"}, set(1, "spec", "replicas"), drop("spec", "replicas")),
		deployment("pool-no-credentials-in-environment", at("containers", 0, "env"),
			setAt([]any{map[string]any{"name": "DATABASE_URL"}}, "containers", 0, "env")),
		deployment("pool-drains", at("terminationGracePeriodSeconds"), setAt(20, "terminationGracePeriodSeconds"),
			dropAt("containers", 0, "lifecycle"),
			setAt(map[string]any{"exec": map[string]any{"command": []any{"sh", "-c", "killall -INT pgbouncer"}}},
				"containers", 0, "lifecycle", "preStop")),
		deployment("pool-rolls-up-first", path{"spec", "strategy"},
			set(1, "spec", "strategy", "rollingUpdate", "maxUnavailable"), set("Recreate", "spec", "strategy", "type"),
			drop("spec", "strategy")),
	}
}

func migrationExamples() []example {
	job := func(name string, unknown path, breaks ...ruletest.Change) example {
		return example{rule: name, of: "migration-job", breaks: breaks, unknown: []path{unknown}}
	}
	return []example{
		job("job-backoff", path{"spec", "backoffLimit"}, drop("spec", "backoffLimit"), set(7, "spec", "backoffLimit")),
		job("job-deadline", path{"spec", "activeDeadlineSeconds"}, drop("spec", "activeDeadlineSeconds")),
		job("job-keeps-logs", at("restartPolicy"), setAt("OnFailure", "restartPolicy"), dropAt("restartPolicy")),
		job("job-stays", path{"spec", "ttlSecondsAfterFinished"}, set(100, "spec", "ttlSecondsAfterFinished"),
			set(0, "spec", "ttlSecondsAfterFinished")),
		job("job-runs-once", path{"spec", "parallelism"}, set(2, "spec", "parallelism"), set(3, "spec", "completions")),
		job("job-awaited", path{"metadata", "annotations"}, drop("metadata", "annotations"),
			set("600", "metadata", "annotations", "pulumi.com/timeoutSeconds"),
			set("true", "metadata", "annotations", "pulumi.com/skipAwait")),
		{
			rule: "migration-in-a-job", of: "consumer-deployment",
			breaks: []ruletest.Change{
				setAt([]any{map[string]any{"name": "migrate", "command": []any{"alembic", "upgrade", "head"}}},
					"initContainers"),
				setAt([]any{map[string]any{"name": "migrate", "command": []any{"sh", "-c", "/app/migrate up"}}},
					"initContainers"),
			},
			keeps: []ruletest.Change{setAt([]any{map[string]any{"name": "wait", "command": []any{"sleep", "1"}}},
				"initContainers")},
			unknown: []path{at("initContainers"), at("initContainers", 0, "command")},
		},
	}
}
