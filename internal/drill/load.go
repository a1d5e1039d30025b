package drill

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"dbtier/components/contract"
	"dbtier/internal/drill/report"
	"dbtier/internal/kubectl"
)

const (
	loadContainer = "load"
	// loadLasts ends a load that nobody stops. It is longer than all limits of a restore together.
	loadLasts = 8 * time.Hour
	// startLimit is how long the load may take until all its clients have an answer.
	startLimit = 5 * time.Minute
	// calmLimit is how long the clients may take to have answers again after a fault has healed.
	calmLimit = 5 * time.Minute
	// accountLimit is how long the load may look up its writes, and longer than the load itself tries.
	accountLimit = 4 * time.Minute
	// kinds of clients, each of which reads and writes.
	kinds = 3
)

type object = map[string]any

func manifest(o object) (string, error) {
	text, err := json.Marshal(o)
	if err != nil {
		return "", fmt.Errorf("describing an object of the drill: %w", err)
	}
	return string(text), nil
}

// meta is the metadata of the drill's objects.
func (r *Runner) meta() object {
	name := r.recordName()
	return object{"name": name, "namespace": r.Target.Namespace, "labels": object{
		contract.NameLabel: name, contract.PartOfLabel: r.Target.Service, contract.ManagedByLabel: contract.ManagedBy,
	}}
}

// service is the part of the service's Deployment that the load's pod takes over.
type service struct {
	Spec struct {
		Template struct {
			Spec struct {
				NodeSelector     map[string]string `json:"nodeSelector"`
				Tolerations      []any             `json:"tolerations"`
				ImagePullSecrets []any             `json:"imagePullSecrets"`
				Volumes          []object          `json:"volumes"`
				Containers       []struct {
					VolumeMounts []object `json:"volumeMounts"`
				} `json:"containers"`
			} `json:"spec"`
		} `json:"template"`
	} `json:"spec"`
}

// startLoad creates the pod of the load and waits until all its clients get answers. The pod reads the service's
// DATABASE_URL and nothing else of the service's Secrets. For a restore, or with Direct, it also has the login of the
// application's role at the database itself.
func (r *Runner) startLoad(ctx context.Context, s *Scenario) error {
	var like service
	if err := r.Kubectl.Get(ctx, &like, r.Target.Namespace, "deployment", r.Target.Service); err != nil {
		return err
	}
	pod, err := manifest(r.pod(&like, s))
	if err != nil {
		return err
	}
	if _, err := r.Kubectl.Run(ctx, pod, "create", "--filename=-"); err != nil {
		return err
	}
	return until(ctx, startLimit, "the load", func(ctx context.Context) (bool, string, error) {
		if ended, why := r.loadEnded(ctx); ended {
			return false, "", &hopelessError{errors.New(why)}
		}
		seconds, err := r.lastSeconds(ctx, 1)
		return len(seconds) == 1 && calm(&seconds[0]), "its clients have no answers yet: `kubectl describe pod " +
			r.recordName() + "` says more", err
	})
}

func (r *Runner) pod(like *service, s *Scenario) object {
	template := like.Spec.Template.Spec
	volumes, mounts := certificates(like)
	env := []object{fromSecret(contract.DatabaseURL, r.Target.DatabaseSecret, contract.DatabaseURL)}
	if r.Direct || s.Restores {
		volumes = append(volumes, object{"name": caVolume, "configMap": object{"name": r.Target.CAConfigMap}})
		mounts = append(mounts, object{
			"name": caVolume, "mountPath": contract.CAPath, "subPath": contract.CAKey, "readOnly": true,
		})
		env = append(env, r.login()...)
	}
	each := r.clients()
	args := []string{
		"run", "--run=" + r.record.Began.UTC().Format("20060102T150405.000"),
		"--writers=" + strconv.Itoa(each), "--readers=" + strconv.Itoa(each),
		"--rate=" + strconv.Itoa(r.Rate), "--max-lifetime=" + r.Target.Lifetime.String(),
	}
	if r.Direct {
		args = append(args, "--direct")
	}
	if s.Waits {
		args = append(args, "--request-timeout=100s", "--retry-for=120s")
	}
	return object{
		"apiVersion": "v1", "kind": "Pod", "metadata": r.meta(),
		"spec": object{
			"restartPolicy": "Never", "activeDeadlineSeconds": int(loadLasts.Seconds()),
			"automountServiceAccountToken": false, "enableServiceLinks": false,
			"nodeSelector": template.NodeSelector, "tolerations": template.Tolerations,
			"imagePullSecrets": template.ImagePullSecrets, "volumes": volumes,
			"securityContext": object{
				"runAsNonRoot": true, "runAsUser": 10001, "runAsGroup": 10001,
				"seccompProfile": object{"type": "RuntimeDefault"},
			},
			"containers": []object{{
				"name": loadContainer, "image": r.Target.Image,
				"args": args, "env": env,
				"volumeMounts": mounts,
				"resources": object{
					"requests": object{"cpu": "100m", "memory": "64Mi"},
					"limits":   object{"memory": "256Mi"},
				},
				"securityContext": object{
					"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
					"capabilities": object{"drop": []string{"ALL"}},
				},
			}},
		},
	}
}

// caVolume is the volume with the certificates of the instance.
const caVolume = "drill-rds-ca"

// fromSecret is an environment variable with the value of a key.
func fromSecret(name, secret, key string) object {
	return object{
		"name": name, "valueFrom": object{"secretKeyRef": object{"name": secret, "key": key}},
	}
}

// login is how the load connects to the database itself: the address that the migration has, too, and the login of the
// application's role. The master user's password stays where it is.
func (r *Runner) login() []object {
	var env []object
	for _, name := range []string{"HOST", "PORT", "DATABASE", "SSLMODE", "SSLROOTCERT"} {
		env = append(env, fromSecret("DIRECT_"+name, r.Target.DirectSecret, "PG"+name))
	}
	return append(env, fromSecret("DIRECT_USER", r.Target.Credential, contract.UsernameKey),
		fromSecret("DIRECT_PASSWORD", r.Target.Credential, contract.PasswordKey))
}

// Limits of the load: clients of each group, and requests per second of all.
const (
	mostClients = 100
	mostPerSec  = 2000
)

// clients is the number of clients of each kind that write, and of those that read.
func (r *Runner) clients() int {
	return max(min(r.Target.Connections/(2*kinds), mostClients, mostPerSec/(2*kinds*max(r.Rate, 1))), 1)
}

// CheckRate returns an error if the load cannot make the requests: with fewer, a group would show outages in which
// nothing was asked.
func (r *Runner) CheckRate() error {
	const leastPerSec = 4
	if r.Rate < 1 || r.Rate > mostPerSec/(2*kinds) || r.clients()*r.Rate < leastPerSec {
		return fmt.Errorf("--rate %d: want 1 to %d, and at least %d requests a second of the %d clients of a group",
			r.Rate, mostPerSec/(2*kinds), leastPerSec, r.clients())
	}
	if r.Steady <= 0 {
		return fmt.Errorf("--steady %s: want more than 0", r.Steady)
	}
	return nil
}

// certificates returns the ConfigMaps that the service mounts: the certificates that its DATABASE_URL names are among
// them. The service's Secrets stay with the service.
func certificates(like *service) (volumes, mounts []object) {
	template := like.Spec.Template.Spec
	for _, volume := range template.Volumes {
		if _, found := volume["configMap"]; !found {
			continue
		}
		volumes = append(volumes, volume)
		for _, mount := range template.Containers[0].VolumeMounts {
			if mount["name"] == volume["name"] {
				mounts = append(mounts, mount)
			}
		}
	}
	return volumes, mounts
}

// lastSeconds returns what the load has said of its last seconds, at most n.
func (r *Runner) lastSeconds(ctx context.Context, n int) ([]report.Second, error) {
	printed, err := r.kubectl(ctx, "logs", "pod/"+r.recordName(), "--tail="+strconv.Itoa(n), "--request-timeout=10s")
	if err != nil {
		return nil, err
	}
	var seconds []report.Second
	for line := range strings.Lines(printed) {
		var said struct {
			Second *report.Second `json:"second"`
		}
		if json.Unmarshal([]byte(line), &said) == nil && said.Second != nil {
			seconds = append(seconds, *said.Second)
		}
	}
	return seconds, nil
}

// calm reports whether every group of clients had answers in a second, and no failure.
func calm(second *report.Second) bool {
	return len(second.Groups) > 0 && !slices.ContainsFunc(second.Groups, func(g report.Sample) bool {
		return g.Answered == 0 || g.Failed > 0
	})
}

// settle waits until the clients have had answers and no failure for some seconds.
func (r *Runner) settle(ctx context.Context) error {
	n := max(int(r.Steady.Seconds()), 1)
	return until(ctx, calmLimit+r.Steady, "the load to be calm", func(ctx context.Context) (bool, string, error) {
		if ended, why := r.loadEnded(ctx); ended {
			return false, "", &hopelessError{errors.New(why)}
		}
		seconds, err := r.lastSeconds(ctx, n)
		ok := len(seconds) == n && !slices.ContainsFunc(seconds, func(s report.Second) bool { return !calm(&s) })
		return ok, fmt.Sprintf("some of the last %d seconds had a client without an answer", n), err
	})
}

// loadEnded reports whether the load's pod does not run any more, and why.
func (r *Runner) loadEnded(ctx context.Context) (bool, string) {
	var pod struct {
		Status struct {
			Phase             string `json:"phase"`
			Reason            string `json:"reason"`
			ContainerStatuses []struct {
				State struct {
					Waiting    *struct{ Reason, Message string } `json:"waiting"`
					Terminated *struct{ ExitCode int }           `json:"terminated"`
				} `json:"state"`
			} `json:"containerStatuses"`
		} `json:"status"`
	}
	if err := r.Kubectl.Get(ctx, &pod, r.Target.Namespace, "pod", r.recordName()); err != nil {
		return false, ""
	}
	for _, c := range pod.Status.ContainerStatuses {
		// A registry can fail once, and such a name always does.
		if w := c.State.Waiting; w != nil && (w.Reason == "InvalidImageName" || w.Reason == "ErrImageNeverPull") {
			return true, "the load does not start: " + w.Message
		}
		if t := c.State.Terminated; t != nil {
			return true, fmt.Sprintf("the load has ended with exit code %d: %s", t.ExitCode, r.lastWords(ctx))
		}
	}
	return pod.Status.Phase == "Failed" || pod.Status.Phase == "Succeeded", "the load's pod has ended: " +
		pod.Status.Reason
}

// lastWords are what the load has said of its end: its problem, or its error in a line of its own.
func (r *Runner) lastWords(ctx context.Context) string {
	printed, err := r.kubectl(ctx, "logs", "pod/"+r.recordName(), "--tail=30")
	if err != nil {
		return err.Error()
	}
	for line := range strings.Lines(printed) {
		var said struct {
			Problem string `json:"problem"`
		}
		if json.Unmarshal([]byte(line), &said) == nil && said.Problem != "" {
			return said.Problem
		}
		if told, ok := strings.CutPrefix(line, "load: "); ok {
			return strings.TrimSpace(told)
		}
	}
	return "its log does not say why"
}

// stopLoad asks the load to account for its writes and waits until it has ended. A pod that is gone, that has ended or
// that has not begun needs no stop.
func (r *Runner) stopLoad(ctx context.Context) error {
	asked := false
	return until(ctx, accountLimit, "the account of the load", func(ctx context.Context) (bool, string, error) {
		var refused error
		if !asked {
			// Between the end of a container and that of its pod there is nothing to ask.
			_, refused = r.kubectl(ctx, "exec", r.recordName(), "--container="+loadContainer, "--", "/load", "stop")
			asked = refused == nil
		}
		phase, err := r.kubectl(ctx, "get", "pod", r.recordName(), "--output=jsonpath={.status.phase}")
		if failed := (*kubectl.Error)(nil); errors.As(err, &failed) && failed.NotFound() {
			return true, "", nil
		}
		if err == nil && phase != "Running" {
			return true, "", nil
		}
		return false, "it still looks up its writes", errors.Join(err, refused)
	})
}

// account reads what the load has printed.
func (r *Runner) account(ctx context.Context) (*report.Load, error) {
	printed, err := r.kubectl(ctx, "logs", "pod/"+r.recordName())
	if err != nil {
		return nil, err
	}
	return report.Decode(strings.NewReader(printed))
}

// kubectl runs kubectl in the service's namespace.
func (r *Runner) kubectl(ctx context.Context, args ...string) (string, error) {
	at := slices.Index(args, "--")
	if at < 0 {
		at = len(args)
	}
	return r.Kubectl.Run(ctx, "", slices.Insert(slices.Clone(args), at, "--namespace="+r.Target.Namespace)...)
}

// pods returns the running pods of a Deployment, as pod/<name>.
func (r *Runner) pods(ctx context.Context, deployment string) ([]string, error) {
	var list struct {
		Items []struct {
			Metadata struct {
				Name              string `json:"name"`
				DeletionTimestamp string `json:"deletionTimestamp"`
			} `json:"metadata"`
			Status struct {
				Phase string `json:"phase"`
			} `json:"status"`
		} `json:"items"`
	}
	err := r.Kubectl.Get(ctx, &list, r.Target.Namespace, "pods", "--selector="+contract.NameLabel+"="+deployment)
	var names []string
	for _, p := range list.Items {
		if p.Status.Phase == "Running" && p.Metadata.DeletionTimestamp == "" {
			names = append(names, "pod/"+p.Metadata.Name)
		}
	}
	return names, err
}
