package await

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// masked replaces a secret.
const masked = "***"

// shortest is the minimum length of a value to mask. Masking a short value such as "5432" would only make logs
// unreadable.
const shortest = 8

// Patterns of secrets that do not come from a Secret of the pod.
var (
	userinfo    = regexp.MustCompile(`(://[^\s:/@]*:)[^\s@]+@`)
	assignments = regexp.MustCompile(
		`(?i)\b((?:pg)?(?:password|passwd|secret|token|api[_-]?key)["']?\s*[=:]\s*)("[^"]*"|'[^']*'|[^\s,;&]+)`,
	)
	quoted = regexp.MustCompile(`"((?:[^"\\]|\\.|"")*)"`)
)

// maskFor returns a function that masks secrets in text about a pod: the values of every Secret that the pod uses (also
// URL-encoded, base64-encoded and JSON-escaped, and the password inside a connection URL), and text that looks like a
// password.
//
// Messages of a failed wait are stored in the state of the stack, and migration tools that cannot connect often print
// the whole connection URL.
func (a *Awaiter) maskFor(ctx context.Context, pod *corev1.Pod) func(string) string {
	var values []string
	for _, name := range usedSecrets(pod) {
		secret, err := a.Kube.CoreV1().Secrets(pod.Namespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			continue
		}
		for _, value := range secret.Data {
			values = append(values, spellings(string(value))...)
		}
	}
	return maskValues(values)
}

// Mask hides secret values in a text, in all the spellings in which they can appear.
func Mask(secrets []string, text string) string {
	var values []string
	for _, secret := range secrets {
		values = append(values, spellings(secret)...)
	}
	return maskValues(values)(text)
}

func maskValues(values []string) func(string) string {
	// The longest value comes first. Otherwise a password inside a longer secret would leave the rest of it visible.
	slices.SortFunc(values, func(x, y string) int { return len(y) - len(x) })
	var pairs []string
	for _, value := range slices.Compact(values) {
		if len(value) >= shortest {
			pairs = append(pairs, value, masked)
		}
	}
	replacer := strings.NewReplacer(pairs...)
	return func(text string) string {
		text = replacer.Replace(text)
		text = userinfo.ReplaceAllString(text, "${1}"+masked+"@")
		return assignments.ReplaceAllString(text, "${1}"+masked)
	}
}

// spellings returns the forms in which a secret value can appear in a log.
func spellings(value string) []string {
	value = strings.TrimSpace(value)
	plain := []string{value}
	if parsed, err := url.Parse(value); err == nil && parsed.User != nil {
		if password, ok := parsed.User.Password(); ok {
			plain = append(plain, password)
		}
	}
	// A file such as PgBouncer's userlist.txt contains its secrets in quotes.
	for _, match := range quoted.FindAllStringSubmatch(value, -1) {
		plain = append(plain, match[1], strings.ReplaceAll(match[1], `""`, `"`))
	}
	for _, line := range strings.Split(value, "\n") {
		plain = append(plain, strings.TrimSpace(line))
	}
	var all []string
	for _, text := range plain {
		if len(text) < shortest {
			continue
		}
		escaped, _ := json.Marshal(text)
		all = append(all, text, url.QueryEscape(text), url.PathEscape(text),
			base64.StdEncoding.EncodeToString([]byte(text)), strings.Trim(string(escaped), `"`))
	}
	return all
}

// usedSecrets returns the names of the Secrets that a pod uses in its environment or mounts.
func usedSecrets(pod *corev1.Pod) []string {
	names := map[string]bool{}
	for _, container := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
		for _, source := range container.EnvFrom {
			if source.SecretRef != nil {
				names[source.SecretRef.Name] = true
			}
		}
		for _, variable := range container.Env {
			if variable.ValueFrom != nil && variable.ValueFrom.SecretKeyRef != nil {
				names[variable.ValueFrom.SecretKeyRef.Name] = true
			}
		}
	}
	for _, volume := range pod.Spec.Volumes {
		if volume.Secret != nil {
			names[volume.Secret.SecretName] = true
		}
		if volume.Projected != nil {
			for _, source := range volume.Projected.Sources {
				if source.Secret != nil {
					names[source.Secret.Name] = true
				}
			}
		}
	}
	sorted := make([]string, 0, len(names))
	for name := range names {
		sorted = append(sorted, name)
	}
	slices.Sort(sorted)
	return sorted
}
