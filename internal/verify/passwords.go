package verify

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"dbtier/components/contract"
	"dbtier/components/pgbouncer"
)

// The operator generates passwords in the cluster: that of the database user and those of the pool's logins. Nothing
// else holds them. A Secret that was deleted or edited, and an ExternalSecret that was made again, get another one.
// The state does not show it. The operator records when it generated a password, so a password that is newer than what
// took it is lost: the bootstrap Job gave it to PostgreSQL, and the service's containers read it when they started.

// LostPassword is a Secret of the operator whose password was replaced by another one, is refused, or that is gone.
type LostPassword struct {
	// Secret with the password.
	Secret string `json:"secret"`
	// Cause is what was found. It contains no secret.
	Cause string `json:"cause"`
	// Kept is true if the password itself is not lost: the missing object only has to be created again.
	Kept bool `json:"kept,omitempty"`
}

// String describes the loss on one line.
func (l LostPassword) String() string { return "the password in Secret " + l.Secret + " " + l.Cause }

// generators are the kind and version of the operator's generators of passwords.
const generators = "passwords.v1alpha1.generators.external-secrets.io"

// LostPasswords finds the generated passwords that do not work any more, or will not once the pool has read them, and
// the objects that are missing for them. The other of the role's two users with a new password and new pods of the
// service replace what is lost.
func (v *Verifier) LostPasswords(ctx context.Context) ([]LostPassword, error) {
	t := v.Target
	secrets, generatedBy, err := v.passwordObjects(ctx)
	if err != nil && !noOperator(err) {
		return nil, err
	}
	var lost []LostPassword
	add := func(secret string, kept bool, format string, args ...any) {
		lost = append(lost, LostPassword{Secret: secret, Kept: kept, Cause: fmt.Sprintf(format, args...)})
	}
	gone := func(name string) bool {
		_, ok := secrets[name]
		return !ok
	}
	keptLogin := pgbouncer.KeptSecret(t.Pool, t.Login)
	for _, name := range t.ExternalSecrets {
		if gone(name) {
			isLost := name == t.Credential || name == t.Login && gone(keptLogin)
			add(name, !isLost, "is gone: the cluster has no ExternalSecret %s/%s", t.Namespace, name)
		} else if by := secrets[name].generator(); by != "" && !generatedBy[by] {
			add(name, true, "cannot be generated again: the cluster has no generator %s/%s", t.Namespace, by)
		}
	}
	if credential, ok := secrets[t.Credential]; ok && t.Bootstrap != "" {
		given, err := v.completed(ctx, t.Bootstrap)
		if err != nil {
			return nil, err
		}
		generated := credential.Status.RefreshTime
		if _, fault := credential.fault(v.now()); fault != "" {
			// A password that is created once is not looked at again while its Secret exists.
			add(t.Credential, false, "%s", fault)
		} else if !given.IsZero() && generated.After(given) {
			add(t.Credential, false, "was generated again at %s, and PostgreSQL has the password of %s",
				generated.Format(time.RFC3339), given.Format(time.RFC3339))
		} else if t.Pool != "" {
			if said := v.logins(ctx)[t.DatabaseUser]; refused(said) {
				add(t.Credential, false, "is not the password that PostgreSQL has: %s", said)
			}
		}
	}
	// The pool and the service read the copy, which can be older than the password that was generated last.
	login, ok := secrets[t.Login]
	if kept, isKept := secrets[keptLogin]; !ok || isKept && kept.Status.RefreshTime.Before(login.Status.RefreshTime) {
		return lost, nil
	}
	pod, err := v.startedBefore(ctx, login.Status.RefreshTime)
	if err != nil {
		return nil, err
	}
	if pod != "" {
		add(t.Login, false, "was generated again at %s, and pod %s has the password from before",
			login.Status.RefreshTime.Format(time.RFC3339), pod)
	}
	return lost, nil
}

// now is the time by the clock.
func (v *Verifier) now() time.Time {
	if v.Now == nil {
		return time.Now()
	}
	return v.Now()
}

// passwordObjects returns the ExternalSecrets of the namespace, and the names of its generators.
func (v *Verifier) passwordObjects(ctx context.Context) (map[string]externalSecret, map[string]bool, error) {
	var list struct {
		Items []struct {
			Kind string `json:"kind"`
			externalSecret
		} `json:"items"`
	}
	if err := v.Kubectl.Get(ctx, &list, v.Target.Namespace, resource+","+generators); err != nil {
		return nil, nil, err
	}
	secrets, generatedBy := map[string]externalSecret{}, map[string]bool{}
	for _, item := range list.Items {
		if item.Kind == "Password" {
			generatedBy[item.Metadata.Name] = true
		} else {
			secrets[item.Metadata.Name] = item.externalSecret
		}
	}
	return secrets, generatedBy, nil
}

// generator is the name of the generator that makes the Secret; empty if none does.
func (e externalSecret) generator() string {
	for _, from := range e.Spec.DataFrom {
		if name := from.SourceRef.GeneratorRef.Name; name != "" {
			return name
		}
	}
	return ""
}

// completed returns when a Job completed; the zero time if there is no such Job, or it has not completed.
func (v *Verifier) completed(ctx context.Context, name string) (time.Time, error) {
	var job struct {
		Status struct {
			CompletionTime time.Time `json:"completionTime"`
		} `json:"status"`
	}
	if err := v.Kubectl.Get(ctx, &job, v.Target.Namespace, "job", name); err != nil && !notFound(err) {
		return time.Time{}, err
	}
	return job.Status.CompletionTime, nil
}

// startedBefore returns a pod of the service whose container has run since before the given time.
func (v *Verifier) startedBefore(ctx context.Context, at time.Time) (string, error) {
	var list struct {
		Items []struct {
			Metadata struct {
				Name              string    `json:"name"`
				DeletionTimestamp time.Time `json:"deletionTimestamp"`
			} `json:"metadata"`
			Status struct {
				ContainerStatuses []struct {
					Name  string `json:"name"`
					State struct {
						Running struct {
							StartedAt time.Time `json:"startedAt"`
						} `json:"running"`
					} `json:"state"`
				} `json:"containerStatuses"`
			} `json:"status"`
		} `json:"items"`
	}
	t := v.Target
	if err := v.Kubectl.Get(ctx, &list, t.Namespace, "pods",
		"--selector="+contract.NameLabel+"="+t.Deployment); err != nil {
		return "", err
	}
	for _, pod := range list.Items {
		for _, c := range pod.Status.ContainerStatuses {
			started := c.State.Running.StartedAt
			if c.Name == t.Container && pod.Metadata.DeletionTimestamp.IsZero() && !started.IsZero() &&
				started.Before(at) {
				return pod.Metadata.Name, nil
			}
		}
	}
	return "", nil
}

// logins makes a pod of the pool log in with its own files, and returns what psql said for each user: nothing for one
// that got in. The answer is empty if there is no such pod, or its image has no psql: other checks report that.
func (v *Verifier) logins(ctx context.Context) map[string]string {
	t := v.Target
	args := []string{"exec", "--namespace=" + t.Namespace, "deployment/" + t.Pool}
	if t.PoolContainer != "" {
		args = append(args, "--container="+t.PoolContainer)
	}
	out, err := v.Kubectl.Run(ctx, "", append(args, "--", "sh", "-c", pgbouncer.LoginCheck)...)
	if err != nil {
		return nil
	}
	said := map[string]string{}
	for line := range strings.Lines(out) {
		line = strings.TrimSuffix(line, "\n")
		if user, ok := strings.CutPrefix(line, "accepted "); ok {
			said[user] = ""
		} else if line, ok := strings.CutPrefix(line, "failed "); ok {
			user, text, _ := strings.Cut(line, ": ")
			said[user] = text
		}
	}
	return said
}

// refused reports whether the server knows the login and does not let it in. A server that does not answer refuses
// nothing.
func refused(said string) bool {
	for _, text := range []string{
		"authentication failed", "is not permitted to log in", "permission denied for database",
		"empty password returned",
	} {
		if strings.Contains(said, text) {
			return true
		}
	}
	return false
}

// passwords checks that PostgreSQL accepts every user of the pool, and that no generated password is lost.
func (v *Verifier) passwords(ctx context.Context) (string, error) {
	lost, err := v.LostPasswords(ctx)
	if err != nil {
		return "", err
	}
	if len(lost) > 0 {
		var faults []string
		for _, l := range lost {
			faults = append(faults, l.String())
		}
		return "", found(v.up(), "%s", strings.Join(faults, "; "))
	}
	if v.Target.Pool == "" {
		return "no generated password is newer than what uses it", nil
	}
	if err := v.awaitUser(ctx); err != nil {
		return "", err
	}
	logins := v.logins(ctx)
	users := slices.Sorted(maps.Keys(logins))
	for _, user := range users {
		if said := logins[user]; said != "" {
			return "", found(v.kubectl("logs deployment/"+v.Target.Pool+" --tail=20"),
				"the pool cannot log in as %s: %s", user, said)
		}
	}
	if len(users) == 0 {
		return "no generated password is newer than what uses it; the pool's image has no psql to log in with", nil
	}
	return "PostgreSQL accepts " + strings.Join(users, ", "), nil
}

// awaitUser waits until every pod of the pool logs in as the database user of the stack's outputs. After a rotation the
// kubelets bring the new files up to a minute later.
func (v *Verifier) awaitUser(ctx context.Context) error {
	t := v.Target
	if t.DatabaseUser == "" || t.SessionDatabase == "" {
		return nil
	}
	for {
		pods, err := v.poolPods(ctx)
		if err != nil {
			return err
		}
		old := ""
		for _, pod := range pods {
			databases, err := v.consoleOf(ctx, "pod/"+pod.name, "SHOW DATABASES")
			if notFound(err) || lacksPsql(err) {
				continue // It has ended since, or the pool's image has no psql, which the check of the pool reports.
			}
			if err != nil {
				return v.poolFault(err)
			}
			if user := forcedUser(databases, t.SessionDatabase); user != t.DatabaseUser {
				old = fmt.Sprintf("pod %s of the pool logs in as %s", pod.name, user)
			}
		}
		if old == "" {
			return nil
		}
		select {
		case <-time.After(retryInterval):
		case <-ctx.Done():
			return found(v.kubectl("logs deployment/"+t.Pool+" --container=reloader --tail=20"),
				"%s, and the stack's database user is %s: the pod has not read its new files", old, t.DatabaseUser)
		}
	}
}

// forcedUser finds the database user of a database in the answer to SHOW DATABASES.
func forcedUser(databases, name string) string {
	_, rows := consoleTable(databases)
	for _, row := range rows {
		if row["name"] == name {
			return row["force_user"]
		}
	}
	return ""
}
