package verify

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
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

const standInContainer = "psql"

func (v *Verifier) makeStandIn(ctx context.Context) (string, error) {
	t := v.Target
	var service, pool podTemplate
	if err := v.Kubectl.Get(ctx, &service, t.Namespace, "deployment", t.Deployment); err != nil {
		return "", err
	}
	kind, name := "deployment", t.Pool
	if t.Proxy != "" {
		kind, name = "job", t.Bootstrap
	}
	if name == "" {
		return "", found(v.kubectl("get pods"), "no image of the stack has psql: add postgresql-client to that of %s",
			t.Deployment)
	}
	if err := v.Kubectl.Get(ctx, &pool, t.Namespace, kind, name); err != nil {
		return "", err
	}
	image := ""
	for _, c := range pool.Spec.Template.Spec.Containers {
		if image == "" || c.Name == t.PoolContainer {
			image = c.Image
		}
	}
	of := service.Spec.Template.Spec
	var envFrom, env, mounts []any
	for i, c := range of.Containers {
		if i == 0 || c.Name == t.Container {
			envFrom, env, mounts = c.EnvFrom, c.Env, c.VolumeMounts
		}
	}
	labels := maps.Clone(service.Spec.Template.Metadata.Labels)
	delete(labels, "pod-template-hash")
	random := make([]byte, 4)
	_, _ = rand.Read(random)
	pod := "dbtier-verify-" + hex.EncodeToString(random)
	type object = map[string]any
	manifest, err := json.Marshal(object{
		"apiVersion": "v1", "kind": "Pod",
		"metadata": object{"name": pod, "namespace": t.Namespace, "labels": labels},
		"spec": object{
			"restartPolicy": "Never", "terminationGracePeriodSeconds": 0, "activeDeadlineSeconds": 300,
			"serviceAccountName": of.ServiceAccountName, "automountServiceAccountToken": false,
			"nodeSelector": of.NodeSelector, "tolerations": of.Tolerations, "imagePullSecrets": of.ImagePullSecrets,
			"securityContext": object{
				"runAsNonRoot": true, "runAsUser": 65532,
				"seccompProfile": object{"type": "RuntimeDefault"},
			},
			"volumes": of.Volumes,
			"containers": []object{{
				"name": standInContainer, "image": image, "command": []string{"sleep", "300"}, "envFrom": envFrom,
				"env":            env,
				"volumeMounts":   mounts,
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
		return "", fmt.Errorf("describing a pod like the service's: %w", err)
	}
	if _, err := v.Kubectl.Run(ctx, string(manifest), "create", "--filename=-"); err != nil {
		return "", err
	}
	v.standMade = pod
	running := "--for=jsonpath={.status.phase}=Running"
	if _, err := v.Kubectl.Run(ctx, "", "wait", "--namespace="+t.Namespace, running, "--timeout=60s",
		"pod/"+pod); err != nil {
		return "", found(v.kubectl("describe pod "+pod),
			"a pod with the service's settings and the pool's image for psql does not start: %s", err.Error())
	}
	return pod, nil
}

// removeStandIn deletes the pod, even if the checks were cancelled.
func (v *Verifier) removeStandIn(ctx context.Context) {
	if v.standMade == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	_, _ = v.Kubectl.Run(ctx, "", "delete", "pod", v.standMade, "--namespace="+v.Target.Namespace, "--wait=false",
		"--ignore-not-found")
}
