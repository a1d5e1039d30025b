package pgbouncer_test

import (
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/quick"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/components/componenttest"
	"dbtier/components/eso"
	"dbtier/components/pgbouncer"
)

const (
	serviceType    = "kubernetes:core/v1:Service"
	networkPolicy  = "kubernetes:networking.k8s.io/v1:NetworkPolicy"
	serviceMonitor = "kubernetes:monitoring.coreos.com/v1:ServiceMonitor"
)

// reports returns a login besides the service's.
func reports() pgbouncer.Login {
	return pgbouncer.Login{Name: "reports", Credential: pgbouncer.Credential{Key: pulumi.String("reports-database")}}
}

// shared returns a pool with two databases and three logins.
func shared() *pgbouncer.PgBouncerPoolArgs {
	args := arguments()
	args.Databases = append(args.Databases, pgbouncer.Database{
		Name: "archive", Host: pulumi.String(host), Port: pulumi.Int(5432),
	})
	batch := pgbouncer.Login{
		Name: "nightly-batch", Databases: []string{"archive", "myshop"}, PoolSize: 3, PoolMode: pgbouncer.Session,
		Secret: "batch-database",
		Credential: pgbouncer.Credential{
			Store: eso.StoreRef{Kind: "SecretStore", Name: pulumi.String("batch")},
			Key:   pulumi.String("batch/database"),
		},
		Clients: []pgbouncer.Client{{Namespace: "batch", Labels: map[string]string{"app": "nightly"}}},
	}
	args.Logins = []pgbouncer.Login{reports(), batch}
	return args
}

func sharedSecrets() map[string]string {
	values := secrets()
	maps.Copy(values, map[string]string{
		"loginUser1": "reports", "loginPassword1": "l1", "databaseUser1": "reader", "databasePassword1": "d1",
		"loginUser2": "nightly-batch", "loginPassword2": "l2", "databaseUser2": "batch", "databasePassword2": "d2",
		"consolePassword": "c",
	})
	return values
}

func TestEachPairOfLoginAndDatabaseIsAPoolWithTheLoginsDatabaseUser(t *testing.T) {
	t.Parallel()
	files := templates(t, componenttest.Run(t, create(shared())), "pool-config")
	databases := parseINI(t, render(t, files["pgbouncer.ini"], sharedSecrets()))["databases"]
	assert.ElementsMatch(t, []string{
		"myshop", "archive", "myshop_reports", "archive_nightly_batch",
		"myshop_nightly_batch", "myshop-session", "archive-session",
	}, slices.Collect(maps.Keys(databases)))
	for entry, want := range map[string]map[string]string{
		"archive-session": {
			"host": host, "port": "5432", "dbname": "archive", "user": "myshop_admin", "pool_size": "2",
			"max_db_connections": "2", "pool_mode": "session",
		},
		"archive":        {"host": host, "port": "5432", "dbname": "archive", "user": "myshop_admin"},
		"myshop_reports": {"host": host, "port": "5432", "dbname": "myshop", "user": "reader"},
		"myshop_nightly_batch": {
			"host": host, "port": "5432", "dbname": "myshop", "user": "batch", "pool_size": "3",
			"max_db_connections": "3", "pool_mode": "session",
		},
	} {
		connection, err := readConnection(databases[entry])
		require.NoError(t, err)
		assert.Equal(t, want, connection, entry)
	}
	users, err := readUserlist(render(t, files["userlist.txt"], sharedSecrets()))
	require.NoError(t, err)
	assert.Equal(t, [][2]string{
		{"myshop_api", "l0gin"},
		{"myshop_admin", "d4tabase"},
		{"reports", "l1"},
		{"reader", "d1"},
		{"nightly-batch", "l2"},
		{"batch", "d2"},
	}, users)
}

// Without the rules a login could use the line of another login, and would become its database user.
func TestALoginReachesItsOwnDatabasesOnly(t *testing.T) {
	t.Parallel()
	rules := readHBA(t, templates(t, componenttest.Run(t, create(shared())), "pool-config")["hba.conf"])
	assert.Equal(t, map[string][]string{
		"myshop_api":    {"archive", "archive-session", "myshop", "myshop-session"},
		"reports":       {"myshop_reports"},
		"nightly-batch": {"archive_nightly_batch", "myshop_nightly_batch"},
	}, rules, "database users and the console are not listed")
}

func TestALoginMustNotHaveTheNameOfADatabaseUser(t *testing.T) {
	t.Parallel()
	files := templates(t, componenttest.Run(t, create(shared())), "pool-config")
	for _, clash := range [][2]string{
		{"databaseUser1", "myshop_api"},
		{"databaseUser2", "reports"},
		{"databaseUser", "nightly-batch"},
		{"databaseUser1", "metrics"},
	} {
		values := sharedSecrets()
		values[clash[0]] = clash[1]
		_, err := fill(files["userlist.txt"], values)
		assert.ErrorContains(t, err, "give the pool another loginUser", clash[0])
	}
}

func TestEachLoginHasItsOwnSecretWithItsOwnURL(t *testing.T) {
	t.Parallel()
	recorded := componenttest.Run(t, create(shared()))
	for name, want := range map[string]string{
		"pool-consumer-secret":               "postgresql://myshop_api:l0gin@pgbouncer.myshop.svc:5432/myshop?sslmode=disable",
		"pool-consumer-secret-reports":       "postgresql://reports:l1@pgbouncer.myshop.svc:5432/myshop_reports?sslmode=disable",
		"pool-consumer-secret-nightly-batch": "postgresql://nightly-batch:l2@pgbouncer.myshop.svc:5432/archive_nightly_batch?sslmode=disable",
	} {
		got := render(t, templates(t, recorded, name)["DATABASE_URL"], sharedSecrets())
		assert.Equal(t, want, got)
		_, err := url.Parse(got)
		require.NoError(t, err)
	}
	assert.Equal(t, "reports-db", recorded.Named(t, externalSecret, "pool-consumer-secret-reports").At("metadata",
		"name"))
	assert.Equal(t, "batch-database", recorded.Named(t, externalSecret,
		"pool-consumer-secret-nightly-batch").At("metadata", "name"))
	data := recorded.Named(t, externalSecret, "pool-consumer-secret-reports").At("spec", "data")
	assert.Len(t, data, 2, "it reads only its own login")
	assert.Equal(t, "pgbouncer-kept-login-reports", componenttest.At(data, 0, "remoteRef", "key"))

	role := recorded.One(t, "kubernetes:rbac.authorization.k8s.io/v1:Role")
	assert.Equal(t, []any{
		"pgbouncer-login", "pgbouncer-login-reports", "pgbouncer-login-nightly-batch", "pgbouncer-kept-login",
		"pgbouncer-kept-login-reports", "reports-database", "pgbouncer-kept-login-nightly-batch",
	}, role.At("rules", 0, "resourceNames"))
	assert.Len(t, recorded.All("kubernetes:generators.external-secrets.io/v1alpha1:Password"), 1)
	for _, name := range []string{"pool-login", "pool-login-reports", "pool-login-nightly-batch"} {
		login := recorded.Named(t, externalSecret, name)
		assert.Equal(t, "CreatedOnce", login.At("spec", "refreshPolicy"), name)
		assert.True(t, recorded.Follows(recorded.Named(t, externalSecret, "pool-config"), login), name)
	}
	assert.Equal(t, map[string]any{"kind": "SecretStore", "name": "batch"},
		recorded.Named(t, externalSecret, "pool-config").At("spec", "data", 10, "sourceRef", "storeRef"))
}

func TestTheClientsOfEveryLoginAreLetIn(t *testing.T) {
	t.Parallel()
	from := componenttest.Run(t, create(shared())).One(t, networkPolicy).At("spec", "ingress", 0, "from")
	named := func(label string) any {
		return map[string]any{"matchLabels": map[string]any{"app.kubernetes.io/name": label}}
	}
	assert.Equal(t, []any{
		map[string]any{"podSelector": named("myshop-api")},
		map[string]any{"podSelector": named("reports")},
		map[string]any{
			"podSelector":       map[string]any{"matchLabels": map[string]any{"app": "nightly"}},
			"namespaceSelector": map[string]any{"matchLabels": map[string]any{"kubernetes.io/metadata.name": "batch"}},
		},
	}, from)
}

func TestTheConsoleIsForOneGroupOfPodsAndReachesNoDatabase(t *testing.T) {
	t.Parallel()
	args := arguments()
	args.Console = &pgbouncer.Client{Labels: map[string]string{"app.kubernetes.io/name": "myshop-api-reconnect"}}
	recorded := componenttest.Run(t, func(ctx *pulumi.Context) error {
		pool, err := pgbouncer.NewPgBouncerPool(ctx, "pool", args)
		if err != nil {
			return err
		}
		ctx.Export("host", pool.ConsoleHost)
		ctx.Export("secret", pool.ConsoleSecretName)
		ctx.Export("secrets", pool.ExternalSecretNames)
		return nil
	})
	files := templates(t, recorded, "pool-config")
	assert.Equal(t, map[string][]string{"myshop_api": {"myshop", "myshop-session"}, "console": {"pgbouncer"}},
		readHBA(t, files["hba.conf"]))
	assert.Equal(t, "console", parseINI(t, render(t, files["pgbouncer.ini"],
		sharedSecrets()))["pgbouncer"]["admin_users"])
	users, err := readUserlist(render(t, files["userlist.txt"], sharedSecrets()))
	require.NoError(t, err)
	assert.Contains(t, users, [2]string{"console", "c"})
	assert.Equal(t, map[string]string{"username": "console", "password": "{{ .password }}"},
		templates(t, recorded, "pool-console"))
	assert.Equal(t, map[string]any{"matchLabels": map[string]any{"app.kubernetes.io/name": "myshop-api-reconnect"}},
		recorded.One(t, networkPolicy).At("spec", "ingress", 0, "from", 1, "podSelector"))

	pods := recorded.Named(t, serviceType, "pool-pods")
	assert.Equal(t, "None", pods.At("spec", "clusterIP"), "its name has the address of every pod")
	assert.Equal(t, true, pods.At("spec", "publishNotReadyAddresses"), "including a pod that drains")
	assert.Equal(t, map[string]any{
		"host": "pgbouncer-pods.myshop.svc", "secret": "pgbouncer-console",
		"secrets": []any{
			"myshop-api-db", "myshop-api-db-login", "pgbouncer-login", "pgbouncer-console", "pgbouncer-kept-login",
			"pgbouncer-config",
		},
	}, plainOutputs(recorded))

	ini := parseINI(t, render(t, templates(t, componenttest.Run(t, create(arguments())),
		"pool-config")["pgbouncer.ini"], secrets()))["pgbouncer"]
	assert.NotContains(t, ini, "admin_users", "without a console no client outside of the pod can log in to it")
}

// plainOutputs have lists of any, regardless of their original type.
func plainOutputs(recorded *componenttest.Recording) map[string]any {
	out := map[string]any{}
	for key, value := range recorded.Outputs {
		if texts, ok := value.([]string); ok {
			list := make([]any, len(texts))
			for i, text := range texts {
				list[i] = text
			}
			value = list
		}
		out[key] = value
	}
	return out
}

func TestTheExporterMayOnlyRead(t *testing.T) {
	t.Parallel()
	args := arguments()
	args.Metrics.Enabled = true
	args.IgnoreStartupParameters = nil
	recorded := componenttest.Run(t, create(args))
	pod := recorded.One(t, deploymentType).At("spec", "template", "spec")
	exporter := componenttest.At(pod, "initContainers", 1)
	assert.Equal(t, "Always", componenttest.At(exporter, "restartPolicy"), "a sidecar")
	assert.Equal(t, pgbouncer.DefaultExporterImage, componenttest.At(exporter, "image"))
	assert.Equal(t, []any{
		"--pgBouncer.connectionString=host=/run/pgbouncer port=6432 user=metrics dbname=pgbouncer sslmode=disable",
		"--web.listen-address=:9127",
	}, componenttest.At(exporter, "args"), "no password: only the pod can reach the socket")
	assert.NotEqual(t, componenttest.At(pod, "securityContext", "runAsUser"),
		componenttest.At(exporter, "securityContext", "runAsUser"),
		"with PgBouncer's user id it could be the administrator")
	assert.Equal(t, []any{map[string]any{"name": "run", "mountPath": pgbouncer.SocketDir, "readOnly": true}},
		componenttest.At(exporter, "volumeMounts"))
	assert.Equal(t, true, componenttest.At(exporter, "securityContext", "readOnlyRootFilesystem"))
	files := templates(t, recorded, "pool-config")
	assert.Contains(t, files["hba.conf"], "local \"pgbouncer\" \"metrics\" trust\n")
	assert.NotContains(t, readHBA(t, files["hba.conf"]), "metrics", "not over the network")
	ini := parseINI(t, render(t, files["pgbouncer.ini"], secrets()))["pgbouncer"]
	assert.Equal(t, "metrics", ini["stats_users"])
	assert.Equal(t, "extra_float_digits", ini["ignore_startup_parameters"], "the exporter's driver sends this parameter")
	rule := recorded.One(t, networkPolicy).At("spec", "ingress", 1)
	assert.Equal(t, map[string]any{
		"from": []any{map[string]any{"namespaceSelector": map[string]any{
			"matchLabels": map[string]any{"kubernetes.io/metadata.name": "monitoring"},
		}}},
		"ports": []any{map[string]any{"port": 9127.0, "protocol": "TCP"}},
	}, rule)
	assert.Empty(t, recorded.All(serviceMonitor))
}

func TestAServiceMonitorScrapesEveryPodOnce(t *testing.T) {
	t.Parallel()
	args := arguments()
	args.Metrics.Enabled, args.Metrics.ServiceMonitor, args.Metrics.Labels = true, true,
		map[string]string{"release": "prometheus"}
	recorded := componenttest.Run(t, create(args))
	monitor := recorded.One(t, serviceMonitor)
	assert.Equal(t, "prometheus", monitor.At("metadata", "labels", "release"))
	assert.Equal(t, []any{map[string]any{"port": "metrics", "interval": "30s"}}, monitor.At("spec", "endpoints"))
	wanted, _ := monitor.At("spec", "selector", "matchLabels").(map[string]any)
	found := 0
	for _, service := range recorded.All(serviceType) {
		labels, _ := service.At("metadata", "labels").(map[string]any)
		matches := len(wanted) > 0
		for key, value := range wanted {
			matches = matches && labels[key] == value
		}
		if matches {
			found++
			assert.Contains(t, service.Text(), `"name":"metrics"`)
		}
	}
	assert.Equal(t, 1, found)
}

func TestFaultsOfLoginsConsoleAndMetrics(t *testing.T) {
	t.Parallel()
	args := arguments()
	args.ClientTLSSecret = "A"
	args.Metrics = pgbouncer.Metrics{
		Enabled: true, Image: "a b", Port: 6432, Namespace: "*",
		Labels: map[string]string{"a b": ""}, IntervalSeconds: 1,
	}
	args.Console = &pgbouncer.Client{}
	args.Logins = []pgbouncer.Login{
		{Name: "myshop_api", Secret: "myshop-api-db", PoolSize: 2000, PoolMode: "statement"},
		{
			Name: "metrics", Credential: pgbouncer.Credential{Store: eso.StoreRef{Kind: "Store"}},
			Databases: []string{"orders", "myshop", "myshop"},
		},
		{Name: "a b", Secret: "a/b", Clients: []pgbouncer.Client{{Namespace: "*"}}, PoolSize: -1},
		{Name: strings.Repeat("l", 60)},
		{Name: "_a_b"},
		{Name: "a-b"},
		{Name: "_"},
	}
	recorded, err := componenttest.Try(create(args))
	require.Error(t, err)
	assert.Empty(t, recorded.Each())
	for _, fault := range []string{
		`clientTlsSecret: "A": want`,
		`metrics.image: "a b": has white space; want`,
		`metrics.port: 6432: is the pool's containerPort`,
		`metrics.namespace: "*": want`,
		`metrics.labels: "a b=": want a label`,
		`metrics.intervalSeconds: 1: want 5 to 3600 seconds`,
		`metrics.resources.cpuRequest: "": want`,
		`console.labels: is missing`,
		`logins[0].name: "myshop_api": is the service's own login`,
		`logins[0].secret: "myshop-api-db": is the name of another Secret of the pool`,
		`logins[0].credential.key: is missing`,
		`logins[0].poolSize: 2000: is more than maxClientConn (1000)`,
		`logins[0].poolMode: "statement": want one of transaction, session`,
		`logins[1].name: "metrics": want 1 to 63 lower-case letters, digits, hyphens and underscores; pgbouncer, console, metrics are reserved`,
		`logins[1].credential.store.kind: "Store": want one of`,
		`logins[1].databases[0]: "orders": is not a database of the pool`,
		`logins[1].databases[2]: "myshop": is named twice`,
		`logins[2].name: "a b": want`,
		`logins[2].secret: "a/b": want`,
		`logins[2].clients[0].namespace: "*": want`,
		`logins[2].poolSize: -1: want 1 to 5000`,
		`logins[5].name: "a-b": does not differ from another login's name`,
		`logins[6].name: "_": does not differ`,
		`logins[3].databases[0]: "myshop": gives the database the name myshop_` + strings.Repeat("l", 60),
	} {
		require.ErrorContains(t, err, fault)
	}
	args = arguments()
	args.Metrics.ServiceMonitor = true
	_, err = componenttest.Try(create(args))
	assert.ErrorContains(t, err, "metrics.serviceMonitor: true: has nothing to scrape")
}

var (
	label       = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)
	loginLetter = []rune("abcdefghijklmnopqrstuvwxyz0123456789_-")
)

// word returns a name from an alphabet and random numbers.
func word(first, rest []rune, numbers []uint8, longest int) string {
	text := []rune{first[0]}
	if len(numbers) > 0 {
		text[0] = first[int(numbers[0])%len(first)]
	}
	for _, n := range numbers[min(1, len(numbers)):] {
		if len(text) == longest {
			break
		}
		text = append(text, rest[int(n)%len(rest)])
	}
	return string(text)
}

// For all valid names the objects' names are labels, no two Secrets have the same name, and PgBouncer's names fit.
func TestEveryNameStaysWithinItsLimits(t *testing.T) {
	t.Parallel()
	letters := []rune("abcdefghijklmnopqrstuvwxyz")
	labels := append(slices.Clone(letters), []rune("0123456789-")...)
	property := func(pool, service, first, second []uint8) bool {
		args := arguments()
		args.Name = strings.TrimRight(word(letters, labels, pool, 50), "-")
		args.Service = strings.TrimRight(word(letters, labels, service, 63), "-")
		args.Console = &pgbouncer.Client{Labels: map[string]string{"app": "x"}}
		args.Metrics.Enabled, args.Metrics.ServiceMonitor = true, true
		args.Logins = []pgbouncer.Login{reports(), reports()}
		args.Logins[0].Name = word([]rune("abcdefg_"), loginLetter, first, 56)
		args.Logins[1].Name = word([]rune("hijklmn"), loginLetter, second, 56)
		recorded, err := componenttest.Try(create(args))
		if err != nil {
			// The only possible fault is a name that is taken.
			return assert.Regexp(t, `is the name of another Secret|does not differ from another`, err.Error())
		}
		taken := map[string]bool{}
		for _, resource := range recorded.Each() {
			name, _ := resource.At("metadata", "name").(string)
			if !resource.Custom {
				continue
			}
			key := resource.Type + "/" + name
			if !assert.True(t, label.MatchString(name), key) || !assert.False(t, taken[key], key) {
				return false
			}
			taken[key] = true
		}
		for entry := range parseINI(t, render(t, templates(t, recorded, "pool-config")["pgbouncer.ini"],
			sharedSecrets()))["databases"] {
			if !assert.LessOrEqual(t, len(entry), 63) {
				return false
			}
		}
		return true
	}
	require.NoError(t, quick.Check(property, &quick.Config{MaxCount: 60}))
}

func TestDatabasesWithTheSameFirstCharactersAreAFault(t *testing.T) {
	t.Parallel()
	args := arguments()
	for _, last := range []string{"x", "y"} {
		args.Databases = append(args.Databases, pgbouncer.Database{
			Name: strings.Repeat("d", 62) + last, Host: pulumi.String(host), Port: pulumi.Int(5432),
		})
	}
	_, err := componenttest.Try(create(args))
	require.ErrorContains(t, err, "has the same first characters as another database")
	require.ErrorContains(t, err, strings.Repeat("d", 55)+"-session")
}

// readHBA parses hba.conf by PgBouncer's rules: which login may connect over the network to which databases.
func readHBA(t *testing.T, text string) map[string][]string {
	t.Helper()
	rules := map[string][]string{}
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if fields[0] == "local" {
			continue
		}
		require.Len(t, fields, 5, line)
		require.Equal(t, "scram-sha-256", fields[4])
		database, user := unquoted(t, fields[1]), unquoted(t, fields[2])
		if !slices.Contains(rules[user], database) {
			rules[user] = append(rules[user], database)
		}
	}
	for user := range rules {
		slices.Sort(rules[user])
	}
	return rules
}

func unquoted(t *testing.T, word string) string {
	t.Helper()
	text, rest, err := quotedWord(word, '"')
	require.NoError(t, err)
	require.Empty(t, rest)
	return text
}

// For all valid names, the rules and the configuration contain them unchanged, and no others.
func FuzzLogins(f *testing.F) {
	f.Add("reports", "archive")
	f.Add("all", "samegroup")
	f.Add("a\nhost", `x" "y`)
	f.Fuzz(func(t *testing.T, login, database string) {
		args := arguments()
		args.Databases = append(args.Databases, pgbouncer.Database{
			Name: database, Host: pulumi.String(host), Port: pulumi.Int(5432),
		})
		args.Logins = []pgbouncer.Login{reports()}
		args.Logins[0].Name, args.Logins[0].Databases, args.Logins[0].Secret = login, []string{database}, "further"
		recorded, err := componenttest.Try(create(args))
		if err != nil {
			return
		}
		entry := database + "_" + strings.ReplaceAll(login, "-", "_")
		files := templates(t, recorded, "pool-config")
		own := []string{"myshop", database, "myshop-session", pgbouncer.SessionDatabase(database)}
		slices.Sort(own)
		assert.Equal(t, map[string][]string{"myshop_api": own, login: {entry}}, readHBA(t, files["hba.conf"]))
		databases := parseINI(t, render(t, files["pgbouncer.ini"], sharedSecrets()))["databases"]
		assert.Len(t, databases, 5)
		connection, err := readConnection(databases[entry])
		require.NoError(t, err)
		assert.Equal(t, database, connection["dbname"])
	})
}
