package podsecurity

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// The values that generated pods are made of: those of the standards, and others.
var (
	seLinuxTypes = []string{
		"", "container_t", "container_init_t", "container_kvm_t", "container_engine_t", "spc_t", "unconfined_t",
	}
	capabilities = []corev1.Capability{
		"ALL", "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE",
		"SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT", "NET_RAW", "SYS_ADMIN", "all", "CAP_CHOWN",
	}
	profiles = []string{"RuntimeDefault", "Localhost", "Unconfined", ""}
	mounts   = []corev1.ProcMountType{corev1.DefaultProcMount, corev1.UnmaskedProcMount, ""}
	users    = []int64{0, 1, 1000, 65534}
	hosts    = []string{"", "127.0.0.1", "bad.host"}
	systems  = []corev1.OSName{corev1.Linux, corev1.Windows}
	profiled = []string{"", "runtime/default", "localhost/a", "unconfined", "other"}
)

// valid returns a pod that satisfies the restricted standard.
func valid() *corev1.Pod {
	return &corev1.Pod{Spec: corev1.PodSpec{
		Containers: []corev1.Container{{
			Name: "a", Image: "a:1", SecurityContext: &corev1.SecurityContext{
				AllowPrivilegeEscalation: new(bool),
				Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
			},
		}},
		SecurityContext: &corev1.PodSecurityContext{
			RunAsNonRoot:   new(true),
			SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		},
	}}
}

func slicesIndex(all []holder, token string) int {
	return slices.IndexFunc(all, func(h holder) bool { return h.token == token })
}

// TestThePackRefusesWhatThePluginRefuses changes the plugin's fixtures at random. The seed is fixed, so that a failure
// can be repeated.
func TestThePackRefusesWhatThePluginRefuses(t *testing.T) {
	t.Parallel()
	const number = 8000
	random := &generator{Rand: rand.New(rand.NewPCG(20261130, 12)), parameters: append(parameters(t), "kernel.msgmax")}
	all, kinds := fixtures(t), holders()
	resources := make([]placed, number)
	for i := range resources {
		pod := all[random.IntN(len(all))].pod.DeepCopy()
		for range 1 + random.IntN(4) {
			random.change(pod)
		}
		kind := kinds[random.IntN(len(kinds))]
		resources[i] = placed{pod, kind, kind.token}
		if random.IntN(4) == 0 {
			resources[i].token += "Patch"
		}
	}
	agree(t, resources, func(i int) string {
		spec, _ := json.Marshal(resources[i].pod)
		return fmt.Sprintf("generated pod %d in %s: %s", i, resources[i].token, spec)
	})
}

// generator changes pods at random.
type generator struct {
	*rand.Rand
	parameters []string
}

func one[T any](g *generator, from []T) T { return from[g.IntN(len(from))] }

// maybe returns one of the values, or nil.
func maybe[T any](g *generator, from []T) *T {
	if g.IntN(len(from)+1) == 0 {
		return nil
	}
	return new(one(g, from))
}

func (g *generator) flag() *bool { return maybe(g, []bool{true, false}) }

// change changes one setting of a pod or of one of its containers.
func (g *generator) change(pod *corev1.Pod) {
	spec := &pod.Spec
	switch g.IntN(8) {
	case 0:
		spec.HostNetwork, spec.HostPID, spec.HostIPC = g.IntN(4) == 0, g.IntN(4) == 0, g.IntN(4) == 0
		spec.HostUsers = g.flag()
	case 1:
		spec.OS = nil
		if g.IntN(3) > 0 {
			spec.OS = &corev1.PodOS{Name: one(g, systems)}
		}
	case 2:
		pod.Annotations = map[string]string{"container.apparmor.security.beta.kubernetes.io/a": one(g, profiled)}
	case 3:
		volume := corev1.Volume{Name: "a"}
		source := reflect.ValueOf(&volume.VolumeSource).Elem()
		// Index 0 of the range is a volume without a type.
		if at := g.IntN(source.NumField() + 1); at > 0 {
			source.Field(at - 1).Set(reflect.New(source.Field(at - 1).Type().Elem()))
		}
		spec.Volumes = append(spec.Volumes, volume)
	case 4:
		spec.EphemeralContainers = append(spec.EphemeralContainers, corev1.EphemeralContainer{
			EphemeralContainerCommon: corev1.EphemeralContainerCommon(*spec.Containers[0].DeepCopy()),
		})
	case 5:
		if g.IntN(6) == 0 || spec.SecurityContext == nil {
			spec.SecurityContext = maybe(g, []corev1.PodSecurityContext{{}})
			return
		}
		g.changePodContext(spec.SecurityContext)
	default:
		g.changeContainer(g.container(spec))
	}
}

func (g *generator) container(spec *corev1.PodSpec) *corev1.Container {
	all := []*corev1.Container{}
	for i := range spec.Containers {
		all = append(all, &spec.Containers[i])
	}
	for i := range spec.InitContainers {
		all = append(all, &spec.InitContainers[i])
	}
	for i := range spec.EphemeralContainers {
		all = append(all, (*corev1.Container)(&spec.EphemeralContainers[i].EphemeralContainerCommon))
	}
	return one(g, all)
}

func (g *generator) changePodContext(context *corev1.PodSecurityContext) {
	switch g.IntN(7) {
	case 0:
		context.RunAsNonRoot = g.flag()
	case 1:
		context.RunAsUser = maybe(g, users)
	case 2:
		context.SeccompProfile = g.seccomp()
	case 3:
		context.AppArmorProfile = g.appArmor()
	case 4:
		context.SELinuxOptions = g.seLinux()
	case 5:
		context.WindowsOptions = &corev1.WindowsSecurityContextOptions{HostProcess: g.flag()}
	default:
		context.Sysctls = []corev1.Sysctl{{Name: one(g, g.parameters), Value: "1"}}
	}
}

func (g *generator) changeContainer(container *corev1.Container) {
	if g.IntN(4) == 0 {
		g.changeHandlers(container)
		return
	}
	if container.SecurityContext == nil || g.IntN(12) == 0 {
		container.SecurityContext = maybe(g, []corev1.SecurityContext{{}})
		return
	}
	context := container.SecurityContext
	switch g.IntN(10) {
	case 0:
		context.RunAsNonRoot = g.flag()
	case 1:
		context.RunAsUser = maybe(g, users)
	case 2:
		context.SeccompProfile = g.seccomp()
	case 3:
		context.AppArmorProfile = g.appArmor()
	case 4:
		context.SELinuxOptions = g.seLinux()
	case 5:
		context.WindowsOptions = &corev1.WindowsSecurityContextOptions{HostProcess: g.flag()}
	case 6:
		context.Privileged = g.flag()
	case 7:
		context.AllowPrivilegeEscalation = g.flag()
	case 8:
		context.ProcMount = maybe(g, mounts)
	default:
		context.Capabilities = nil
		if g.IntN(4) > 0 {
			context.Capabilities = &corev1.Capabilities{
				Add: []corev1.Capability{one(g, capabilities)}, Drop: []corev1.Capability{one(g, capabilities), "ALL"},
			}
			context.Capabilities.Drop = context.Capabilities.Drop[:g.IntN(3)]
		}
	}
}

func (g *generator) changeHandlers(container *corev1.Container) {
	web, tcp := &corev1.HTTPGetAction{Host: one(g, hosts)}, &corev1.TCPSocketAction{Host: one(g, hosts)}
	probe := &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: web}}
	hook := &corev1.LifecycleHandler{TCPSocket: tcp}
	if g.IntN(2) == 0 {
		probe, hook = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{TCPSocket: tcp}},
			&corev1.LifecycleHandler{HTTPGet: web}
	}
	switch g.IntN(6) {
	case 0:
		container.LivenessProbe = probe
	case 1:
		container.ReadinessProbe = probe
	case 2:
		container.StartupProbe = probe
	case 3:
		container.Lifecycle = &corev1.Lifecycle{PostStart: hook}
	case 4:
		container.Lifecycle = &corev1.Lifecycle{PreStop: hook}
	default:
		container.Ports = []corev1.ContainerPort{{ContainerPort: 8080, HostPort: one(g, []int32{0, 80, 8080})}}
	}
}

func (g *generator) seccomp() *corev1.SeccompProfile {
	if kind := maybe(g, profiles); kind != nil {
		return &corev1.SeccompProfile{Type: corev1.SeccompProfileType(*kind)}
	}
	return nil
}

func (g *generator) appArmor() *corev1.AppArmorProfile {
	if kind := maybe(g, profiles); kind != nil {
		return &corev1.AppArmorProfile{Type: corev1.AppArmorProfileType(*kind)}
	}
	return nil
}

func (g *generator) seLinux() *corev1.SELinuxOptions {
	return &corev1.SELinuxOptions{
		Type: one(g, seLinuxTypes), User: one(g, []string{"", "", "system_u"}),
		Role: one(g, []string{"", "", "sysadm_r"}),
	}
}
