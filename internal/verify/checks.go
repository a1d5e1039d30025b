package verify

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"dbtier/components/contract"
	"dbtier/internal/kubectl"
)

// explain turns the error of a check into its cause and the next command.
func (v *Verifier) explain(ctx context.Context, err error) (cause, next string) {
	var found *finding
	if errors.As(err, &found) {
		return found.cause, found.next
	}
	if ctx.Err() != nil {
		return fmt.Sprintf("no answer within %s", v.Timeout), v.kubectl("get pods --output=wide")
	}
	text := err.Error()
	switch {
	case strings.Contains(text, "connection refused"), strings.Contains(text, "no such host"),
		strings.Contains(text, "Unable to connect to the server"):
		return "the cluster does not answer: " + text, v.Target.Kubectl + " cluster-info"
	case strings.Contains(text, "exceeded quota"), strings.Contains(text, "failed quota"),
		strings.Contains(text, "usage per"), strings.Contains(text, "violates PodSecurity"):
		return "the namespace does not admit a pod of verify: " + text, v.kubectl("describe resourcequotas,limitranges")
	case strings.Contains(text, "(Forbidden)"):
		return "the kubeconfig's user has no right to do this: " + text,
			v.Target.Kubectl + " auth can-i --list --namespace=" + v.Target.Namespace
	}
	return text, v.kubectl("get pods --output=wide")
}

// kubectl is a command for a person to run in the tier's namespace.
func (v *Verifier) kubectl(args string) string {
	namespace := v.Target.Namespace
	if namespace == "" {
		namespace = v.Target.OperatorNamespace
	}
	return fmt.Sprintf("%s --namespace=%s %s", v.Target.Kubectl, namespace, args)
}

func (v *Verifier) up() string { return "dbtier up --stack " + v.Target.Stack }

func notFound(err error) bool {
	var failed *kubectl.Error
	return errors.As(err, &failed) && failed.NotFound()
}

// secret reads the DATABASE_URL that a new pod would get, and logs in with it from a service pod.
func (v *Verifier) secret(ctx context.Context) (string, error) {
	t := v.Target
	var object struct {
		Data map[string][]byte `json:"data"`
	}
	if err := v.Kubectl.Get(ctx, &object, t.Namespace, "secret", t.Secret); err != nil {
		if notFound(err) {
			return "", found(v.kubectl("describe externalsecrets"), "no Secret %s/%s: the operator has not created it",
				t.Namespace, t.Secret)
		}
		return "", err
	}
	dsn := string(object.Data[contract.DatabaseURL])
	if dsn == "" {
		return "", found(v.kubectl("describe secret "+t.Secret), "Secret %s/%s has no DATABASE_URL", t.Namespace,
			t.Secret)
	}
	v.secrets.Add(dsn)
	parsed, err := url.Parse(dsn)
	if err != nil || parsed.Host == "" || parsed.User == nil {
		// The parser's error would quote the URL.
		return "", found(v.kubectl("get externalsecret "+t.Secret+" --output=yaml"),
			"DATABASE_URL in Secret %s/%s is not a URL of the form postgresql://user:password@host:port/database",
			t.Namespace, t.Secret)
	}
	if password, ok := parsed.User.Password(); ok {
		v.secrets.Add(password)
	}
	if t.Tokens {
		return v.withoutPassword(parsed)
	}
	// The URL goes through stdin: arguments appear in the process list and in the API server's audit log.
	out, like, err := v.inServicePod(ctx, dsn+"\n", `IFS= read -r DATABASE_URL && `+psql("select current_user"))
	if err != nil {
		return "", v.databaseFault(err)
	}
	return fmt.Sprintf("Secret %s: logged in to %s as %s%s", t.Secret, parsed.Host, strings.TrimSpace(out), like), nil
}

// query asks the database from a service pod with the pod's own environment.
func (v *Verifier) query(ctx context.Context) (string, error) {
	out, like, err := v.inServicePod(ctx, "",
		`: "${DATABASE_URL:?is not in the environment}" && `+psql("select version()"))
	if err != nil {
		return "", v.databaseFault(err)
	}
	version := strings.TrimSpace(out)
	if !strings.HasPrefix(version, "PostgreSQL ") {
		return "", found(v.poolStatus(), "SELECT version() answered %q", version)
	}
	short, _, _ := strings.Cut(version, " on ")
	return short + like, nil
}

// psql is a shell line that runs one query through DATABASE_URL.
func psql(question string) string {
	return `exec psql "$DATABASE_URL" --no-psqlrc --quiet --tuples-only --no-align --command="` + question + `"`
}

// inServicePod runs a shell line in a service pod, or in a stand-in if the service's image has no psql. In that case
// like says so.
func (v *Verifier) inServicePod(ctx context.Context, stdin, line string) (out, like string, err error) {
	run := func(where, container string) (string, error) {
		args := []string{"exec", "--namespace=" + v.Target.Namespace, where, "--container=" + container}
		if stdin != "" {
			args = append(args, "--stdin")
		}
		return v.Kubectl.Run(ctx, stdin, append(args, "--", "sh", "-c", "export PGCONNECT_TIMEOUT=10; "+line)...)
	}
	out, err = run("deployment/"+v.Target.Deployment, v.Target.Container)
	if !lacksPsql(err) {
		return out, "", err
	}
	pod, err := v.standIn(ctx)
	if err != nil {
		return "", "", err
	}
	out, err = run("pod/"+pod, standInContainer)
	return out, " (from a pod with the service's settings, because its image has no psql)", err
}

// databaseFault finds the cause of a failed psql in a service pod.
func (v *Verifier) databaseFault(err error) error {
	var failed *kubectl.Error
	if !errors.As(err, &failed) {
		return err
	}
	t := v.Target
	said := failed.Error()
	deployment := "deployment/" + t.Deployment
	switch {
	case failed.NotFound():
		return found(v.up(), "no Deployment %s in namespace %s", t.Deployment, t.Namespace)
	case lacksPsql(failed):
		return found(v.kubectl("exec -it "+deployment+" -- sh"),
			"neither the image of %s nor the pool's has psql: add postgresql-client to one of them", deployment)
	case strings.Contains(said, "is not in the environment"):
		return found(v.kubectl("rollout restart "+deployment),
			"the pods of %s have no DATABASE_URL: they have no envFrom Secret %s, or are older than it", deployment,
			t.Secret)
	case strings.Contains(said, "invalid") && strings.Contains(said, "URI"),
		strings.Contains(said, "connection option"):
		// libpq quotes the part that it could not read, which may be part of the password.
		return found(v.kubectl("get externalsecret "+t.Secret+" --output=yaml"),
			"DATABASE_URL is not a URL that psql understands: a value in it is not URL-encoded")
	case strings.Contains(said, "authentication failed"), strings.Contains(said, "SASL"):
		return found(v.poolStatus(), "the login is refused: %s", said)
	case strings.Contains(said, "could not translate host name"):
		return found(v.kubectl("get service,endpointslices"), "the pool's name does not resolve: %s", said)
	case strings.Contains(said, "timeout expired"), strings.Contains(said, "Connection refused"),
		strings.Contains(said, "connection to server"):
		return found(v.kubectl("get networkpolicies,pods --output=wide"), "the database does not answer: %s", said)
	case strings.Contains(said, "unable to upgrade connection"),
		strings.Contains(said, "does not have a host assigned"),
		strings.Contains(said, "not found in pod"):
		return found(v.kubectl("describe "+deployment), "no pod of %s runs: %s", deployment, said)
	}
	return failed
}

// externalSecrets checks that each ExternalSecret is Ready and was refreshed within twice its interval: the Ready
// condition alone stays true after the operator has stopped.
func (v *Verifier) externalSecrets(ctx context.Context) (string, error) {
	t := v.Target
	var list struct {
		Items []externalSecret `json:"items"`
	}
	if err := v.Kubectl.Get(ctx, &list, t.Namespace, resource); err != nil {
		if noOperator(err) {
			return "", withoutOperator(v.Target.Kubectl + " api-versions")
		}
		return "", err
	}
	byName := map[string]externalSecret{}
	for _, item := range list.Items {
		byName[item.Metadata.Name] = item
	}
	names := t.ExternalSecrets
	if len(names) == 0 {
		for _, item := range list.Items {
			names = append(names, item.Metadata.Name)
		}
	}
	if len(names) == 0 {
		return "", found(v.up(), "namespace %s has no ExternalSecret", t.Namespace)
	}
	var faults, next []string
	oldest := time.Duration(0)
	for _, name := range names {
		item, ok := byName[name]
		if !ok {
			faults = append(faults, "no ExternalSecret "+name)
			next = append(next, v.up())
			continue
		}
		age, fault := item.fault(v.Now())
		if fault != "" {
			faults = append(faults, name+" "+fault)
			next = append(next, v.kubectl("describe externalsecret "+name))
		}
		oldest = max(oldest, age)
	}
	if len(faults) > 0 {
		return "", found(next[0], "%s", strings.Join(faults, "; "))
	}
	return fmt.Sprintf("%s: refreshed %s ago at most", strings.Join(names, ", "), oldest.Round(time.Second)), nil
}

type externalSecret struct {
	Metadata struct {
		Name string `json:"name"`
	} `json:"metadata"`
	Spec struct {
		RefreshInterval string `json:"refreshInterval"`
		RefreshPolicy   string `json:"refreshPolicy"`
		Data            []struct {
			SourceRef sourceRef `json:"sourceRef"`
		} `json:"data"`
		DataFrom []struct {
			SourceRef sourceRef `json:"sourceRef"`
		} `json:"dataFrom"`
	} `json:"spec"`
	Status struct {
		RefreshTime time.Time `json:"refreshTime"`
		Conditions  []struct {
			Type    string `json:"type"`
			Status  string `json:"status"`
			Reason  string `json:"reason"`
			Message string `json:"message"`
		} `json:"conditions"`
	} `json:"status"`
}

// sourceRef is where a value of an ExternalSecret comes from.
type sourceRef struct {
	StoreRef struct {
		Kind string `json:"kind"`
		Name string `json:"name"`
	} `json:"storeRef"`
	GeneratorRef struct {
		Name string `json:"name"`
	} `json:"generatorRef"`
}

// stores are the kinds and names of the stores that the ExternalSecret reads from, as kind/name.
func (e externalSecret) stores() []string {
	var refs []string
	for _, value := range e.Spec.Data {
		refs = append(refs, value.SourceRef.StoreRef.Kind+"/"+value.SourceRef.StoreRef.Name)
	}
	for _, from := range e.Spec.DataFrom {
		refs = append(refs, from.SourceRef.StoreRef.Kind+"/"+from.SourceRef.StoreRef.Name)
	}
	return refs
}

// defaultInterval is the operator's default refresh interval.
const defaultInterval = time.Hour

// unready returns why the operator has not done its work; empty if it has.
func (e externalSecret) unready() string {
	for _, c := range e.Status.Conditions {
		switch {
		case c.Type != "Ready":
		case c.Status == "True":
			return ""
		default:
			return fmt.Sprintf("is not Ready: %s: %s", c.Reason, c.Message)
		}
	}
	return "has no Ready condition: the operator has not processed it"
}

// fault returns what is wrong, or how long ago the secret was refreshed.
func (e externalSecret) fault(now time.Time) (time.Duration, string) {
	if fault := e.unready(); fault != "" {
		return 0, fault
	}
	if e.Spec.RefreshPolicy == "CreatedOnce" || e.Spec.RefreshPolicy == "OnChange" {
		return 0, ""
	}
	interval := defaultInterval
	if e.Spec.RefreshInterval != "" {
		parsed, err := time.ParseDuration(e.Spec.RefreshInterval)
		if err != nil {
			return 0, fmt.Sprintf("has an invalid refresh interval: %q", e.Spec.RefreshInterval)
		}
		interval = parsed
	}
	if interval == 0 {
		return 0, ""
	}
	age := max(now.Sub(e.Status.RefreshTime), 0)
	if age > 2*interval {
		return age, fmt.Sprintf("is stale: refreshed %s ago with an interval of %s", age.Round(time.Second), interval)
	}
	return age, ""
}

// console runs a command on PgBouncer's console, in the pool's container.
func (v *Verifier) console(ctx context.Context, command string) (string, error) {
	return v.consoleOf(ctx, "deployment/"+v.Target.Pool, command)
}

// consoleOf does so in one pod.
func (v *Verifier) consoleOf(ctx context.Context, pod, command string) (string, error) {
	t := v.Target
	args := []string{"exec", "--namespace=" + t.Namespace, pod}
	if t.PoolContainer != "" {
		args = append(args, "--container="+t.PoolContainer)
	}
	// Through the socket, PgBouncer accepts the system user that it runs as on its console, as its user pgbouncer. The
	// port is in the container's environment.
	return v.Kubectl.Run(ctx, "", append(args, "--", "psql", "--no-psqlrc", "--quiet", "--no-align",
		"--field-separator=|", "--pset=footer=off", "--command="+command,
		"host="+t.PoolSocketDir+" dbname=pgbouncer user=pgbouncer connect_timeout=10")...)
}

// pool asks PgBouncer's console for its pools.
func (v *Verifier) pool(ctx context.Context) (string, error) {
	t := v.Target
	out, err := v.console(ctx, "SHOW POOLS")
	if err != nil {
		return "", v.poolFault(err)
	}
	pools, err := parsePools(out)
	if err != nil {
		return "", found(v.kubectl("logs deployment/"+t.Pool+" --tail=20"), "%s", err.Error())
	}
	if len(pools) == 0 {
		return "the console answers; no client has connected since the start", nil
	}
	var parts []string
	waiting := 0
	for _, p := range pools {
		parts = append(parts, fmt.Sprintf("%s/%s %d clients on %d servers", p.database, p.user, p.clients, p.servers))
		waiting += p.waiting
	}
	if waiting > 0 {
		parts = append(parts, fmt.Sprintf("%d clients wait", waiting))
	}
	return strings.Join(parts, ", "), nil
}

type pool struct {
	database, user            string
	clients, waiting, servers int
}

// parsePools reads the rows of SHOW POOLS by column name: the order of the columns differs between versions.
func parsePools(out string) ([]pool, error) {
	columns, rows := consoleTable(out)
	for _, name := range []string{"database", "user", "cl_active", "cl_waiting", "sv_active", "sv_idle", "sv_used"} {
		if !slices.Contains(columns, name) {
			return nil, fmt.Errorf("SHOW POOLS has no column %s", name)
		}
	}
	var pools []pool
	for _, row := range rows {
		number := func(names ...string) int {
			sum := 0
			for _, name := range names {
				n, _ := strconv.Atoi(row[name])
				sum += n
			}
			return sum
		}
		if row["database"] == "pgbouncer" {
			continue
		}
		pools = append(pools, pool{
			database: row["database"], user: row["user"],
			clients: number("cl_active"), waiting: number("cl_waiting"),
			servers: number("sv_active", "sv_idle", "sv_used"),
		})
	}
	return pools, nil
}

// consoleTable reads what the console prints: the names of the columns, and the rows by these names.
func consoleTable(out string) (columns []string, rows []map[string]string) {
	for line := range strings.SplitSeq(strings.TrimSpace(out), "\n") {
		fields := strings.Split(line, "|")
		if columns == nil {
			columns = fields
		} else if len(fields) >= len(columns) {
			row := map[string]string{}
			for i, name := range columns {
				row[name] = fields[i]
			}
			rows = append(rows, row)
		}
	}
	return columns, rows
}

func (v *Verifier) poolFault(err error) error {
	var failed *kubectl.Error
	if !errors.As(err, &failed) {
		return err
	}
	said := failed.Error()
	switch {
	case failed.NotFound():
		return found(v.up(), "no Deployment %s in namespace %s", v.Target.Pool, v.Target.Namespace)
	case lacksPsql(failed):
		return found(v.kubectl("port-forward deployment/"+v.Target.Pool+" 6432"),
			"the pool's image has no psql, which the console needs")
	default:
		return found(v.kubectl("logs deployment/"+v.Target.Pool+" --tail=20"), "the console does not answer: %s",
			said)
	}
}
