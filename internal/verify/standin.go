package verify

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	"dbtier/internal/kubectl"
)

// Many services' images have no psql. A temporary pod then replaces the service pod. It has the service's labels,
// ServiceAccount and environment, so that the same NetworkPolicies and Secrets apply, and the pool's image, which has
// psql (with RDS Proxy, the image of the Job that created the role). The pod is never ready, so no Service sends it
// requests, and it lacks the label of the ReplicaSet, which would otherwise adopt it.

// podTemplate is the part of a Deployment that the pod copies.
type podTemplate struct {
	Spec struct {
		Template struct {
			Metadata struct {
				Labels map[string]string `json:"labels"`
			} `json:"metadata"`
			Spec struct {
				ServiceAccountName string            `json:"serviceAccountName"`
				NodeSelector       map[string]string `json:"nodeSelector"`
				Tolerations        []any             `json:"tolerations"`
				Affinity           any               `json:"affinity"`
				PriorityClassName  string            `json:"priorityClassName"`
				ImagePullSecrets   []any             `json:"imagePullSecrets"`
				Volumes            []any             `json:"volumes"`
				Containers         []struct {
					Name         string `json:"name"`
					Image        string `json:"image"`
					EnvFrom      []any  `json:"envFrom"`
					Env          []any  `json:"env"`
					VolumeMounts []any  `json:"volumeMounts"`
				} `json:"containers"`
			} `json:"spec"`
		} `json:"template"`
	} `json:"spec"`
}

// lacksPsql reports whether an exec failed because the image has no shell or no psql.
func lacksPsql(err error) bool {
	var failed *kubectl.Error
	return errors.As(err, &failed) && (failed.Code == 126 || failed.Code == 127 ||
		strings.Contains(failed.Stderr, "executable file not found"))
}

// standIn creates the pod once and returns its name.
func (v *Verifier) standIn(ctx context.Context) (string, error) {
	v.stand.Do(func() { v.standPod, v.standErr = v.makeStandIn(ctx) })
	return v.standPod, v.standErr
}

// PsqlPod returns where psql can run with the service's settings: a pod of the service, or a temporary pod if the
// service's image has no psql. A temporary pod lasts for the given time, and remove removes it before. For a pod of the
// service remove is nil.
func (v *Verifier) PsqlPod(
	ctx context.Context, lasting time.Duration,
) (where, container string, remove func(context.Context), err error) {
	where = "deployment/" + v.Target.Deployment
	_, err = v.Kubectl.Run(ctx, "", "exec", "--namespace="+v.Target.Namespace, where, "--container="+v.Target.Container,
		"--", "sh", "-c", "command -v psql")
	if !lacksPsql(err) {
		return where, v.Target.Container, nil, err
	}
	v.lasting = lasting
	pod, err := v.standIn(ctx)
	if err != nil {
		v.removePods(ctx)
		return "", "", nil, err
	}
	return "pod/" + pod, standInContainer, v.removePods, nil
}

const (
	standInContainer = "psql"
	// standInLasts is the number of seconds after which a temporary pod ends.
	standInLasts = 300
)

func (v *Verifier) makeStandIn(ctx context.Context) (string, error) {
	t := v.Target
	var service podTemplate
	if err := v.Kubectl.Get(ctx, &service, t.Namespace, "deployment", t.Deployment); err != nil {
		return "", err
	}
	image, err := v.imageWithPsql(ctx)
	if err != nil {
		return "", err
	}
	pod := &temporaryPod{name: "dbtier-verify-" + random(), image: image, like: &service}
	pod.labels = maps.Clone(service.Spec.Template.Metadata.Labels)
	delete(pod.labels, "pod-template-hash")
	for i, c := range service.Spec.Template.Spec.Containers {
		if i == 0 || c.Name == t.Container {
			pod.envFrom, pod.env, pod.mounts = c.EnvFrom, c.Env, c.VolumeMounts
		}
	}
	pod.volumes = service.Spec.Template.Spec.Volumes
	pod.account = service.Spec.Template.Spec.ServiceAccountName
	return pod.name, v.start(ctx, pod)
}

// imageWithPsql returns the pool's image, or behind RDS Proxy the image of the Job that created the role.
func (v *Verifier) imageWithPsql(ctx context.Context) (string, error) {
	t := v.Target
	kind, name := "deployment", t.Pool
	if t.Proxy != "" {
		kind, name = "job", t.Bootstrap
	}
	if name == "" {
		return "", found(v.kubectl("get pods"), "no image of the stack has psql: add postgresql-client to that of %s",
			t.Deployment)
	}
	var pool podTemplate
	if err := v.Kubectl.Get(ctx, &pool, t.Namespace, kind, name); err != nil {
		return "", err
	}
	image := ""
	for _, c := range pool.Spec.Template.Spec.Containers {
		if image == "" || c.Name == t.PoolContainer {
			image = c.Image
		}
	}
	return image, nil
}

// temporaryPod sleeps in the container psql until it is removed.
type temporaryPod struct {
	name, image, account          string
	labels                        map[string]string
	envFrom, env, mounts, volumes []any
	// like is where the pod runs as the pods of.
	like *podTemplate
}

func random() string {
	text := make([]byte, 4)
	_, _ = rand.Read(text)
	return hex.EncodeToString(text)
}

// start creates a pod and waits until it runs. removePods removes it.
func (v *Verifier) start(ctx context.Context, pod *temporaryPod) error {
	place := pod.like.Spec.Template.Spec
	lasts := cmp.Or(int(v.lasting.Seconds()), standInLasts)
	type object = map[string]any
	manifest, err := json.Marshal(object{
		"apiVersion": "v1", "kind": "Pod",
		"metadata": object{"name": pod.name, "namespace": v.Target.Namespace, "labels": pod.labels},
		"spec": object{
			"restartPolicy": "Never", "terminationGracePeriodSeconds": 0, "activeDeadlineSeconds": lasts,
			"serviceAccountName": pod.account, "automountServiceAccountToken": false, "enableServiceLinks": false,
			"nodeSelector": place.NodeSelector, "tolerations": place.Tolerations, "affinity": place.Affinity,
			"priorityClassName": place.PriorityClassName, "imagePullSecrets": place.ImagePullSecrets,
			"securityContext": object{
				"runAsNonRoot": true, "runAsUser": 65532,
				"seccompProfile": object{"type": "RuntimeDefault"},
			},
			"volumes": pod.volumes,
			"containers": []object{{
				"name": standInContainer, "image": pod.image, "command": []string{"sleep", strconv.Itoa(lasts)},
				"envFrom": pod.envFrom, "env": pod.env, "volumeMounts": pod.mounts,
				"readinessProbe": object{"exec": object{"command": []string{"false"}}},
				"resources": object{
					"requests": object{"cpu": "10m", "memory": "32Mi"},
					"limits":   object{"cpu": "200m", "memory": "64Mi"},
				},
				"securityContext": object{
					"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
					"capabilities": object{"drop": []string{"ALL"}},
				},
			}},
		},
	})
	if err != nil {
		return fmt.Errorf("describing a temporary pod: %w", err)
	}
	if _, err := v.Kubectl.Run(ctx, string(manifest), "create", "--filename=-"); err != nil {
		return err
	}
	v.madeMutex.Lock()
	v.made = append(v.made, pod.name)
	v.madeMutex.Unlock()
	running := "--for=jsonpath={.status.phase}=Running"
	if _, err := v.Kubectl.Run(ctx, "", "wait", "--namespace="+v.Target.Namespace, running, "--timeout=60s",
		"pod/"+pod.name); err != nil {
		return found(v.kubectl("describe pod "+pod.name),
			"a temporary pod with the pool's image, for psql, does not start: %s", err.Error())
	}
	return nil
}

// removePods deletes the temporary pods, even if the checks were cancelled.
func (v *Verifier) removePods(ctx context.Context) {
	if len(v.made) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	args := append([]string{"delete", "pod"}, v.made...)
	_, _ = v.Kubectl.Run(ctx, "", append(args, "--namespace="+v.Target.Namespace, "--wait=false",
		"--ignore-not-found")...)
}
