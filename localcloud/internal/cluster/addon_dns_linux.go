package cluster

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	appsv1apply "k8s.io/client-go/applyconfigurations/apps/v1"
	corev1apply "k8s.io/client-go/applyconfigurations/core/v1"
	metav1apply "k8s.io/client-go/applyconfigurations/meta/v1"
	rbacv1apply "k8s.io/client-go/applyconfigurations/rbac/v1"
)

// applyDNS applies CoreDNS in the configuration that this version of the local cloud expects. The object names are
// those that other clusters use for CoreDNS.
func (a *apiClient) applyDNS(ctx context.Context, hostsDir string) error {
	const (
		namespace = metav1.NamespaceSystem
		name      = "coredns"
		service   = "kube-dns"
	)
	force := metav1.ApplyOptions{FieldManager: "localcloud", Force: true}
	labels := map[string]string{"k8s-app": service}
	config := map[string]string{"Corefile": corefile, "root.zone": rootZone}
	version := sha256.Sum256([]byte(corefile + rootZone))

	account := corev1apply.ServiceAccount(name, namespace)
	role := rbacv1apply.ClusterRole("system:coredns").WithRules(
		rbacv1apply.PolicyRule().WithAPIGroups("").WithResources("services", "pods", "namespaces").WithVerbs("list",
			"watch"),
		rbacv1apply.PolicyRule().WithAPIGroups("discovery.k8s.io").WithResources("endpointslices").WithVerbs("list",
			"watch"),
	)
	binding := rbacv1apply.ClusterRoleBinding("system:coredns").
		WithRoleRef(rbacv1apply.RoleRef().WithAPIGroup(rbacv1.GroupName).WithKind("ClusterRole").WithName(
			"system:coredns",
		)).
		WithSubjects(rbacv1apply.Subject().WithKind(rbacv1.ServiceAccountKind).WithNamespace(namespace).WithName(name))
	configMap := corev1apply.ConfigMap(name, namespace).WithData(config)
	svc := corev1apply.Service(service, namespace).WithLabels(labels).WithSpec(corev1apply.ServiceSpec().
		// There is one replica, so answering while it starts is better than no endpoint at all.
		WithPublishNotReadyAddresses(true).
		WithClusterIP(dnsAddress.String()).WithSelector(labels).WithPorts(
		corev1apply.ServicePort().WithName("dns").WithProtocol(corev1.ProtocolUDP).WithPort(53).WithTargetPort(
			intstr.FromInt32(53),
		),
		corev1apply.ServicePort().WithName("dns-tcp").WithProtocol(corev1.ProtocolTCP).WithPort(53).WithTargetPort(
			intstr.FromInt32(53),
		),
	))
	container := corev1apply.Container().WithName(name).WithImage(dnsImage).WithImagePullPolicy(
		corev1.PullIfNotPresent,
	).
		WithArgs("-conf", "/etc/coredns/Corefile").
		WithPorts(
			corev1apply.ContainerPort().WithName("dns").WithContainerPort(53).WithProtocol(corev1.ProtocolUDP),
			corev1apply.ContainerPort().WithName("dns-tcp").WithContainerPort(53).WithProtocol(corev1.ProtocolTCP),
		).
		WithReadinessProbe(corev1apply.Probe().WithPeriodSeconds(1).
			WithHTTPGet(corev1apply.HTTPGetAction().WithPath("/ready").WithPort(intstr.FromInt32(8181)))).
		WithSecurityContext(corev1apply.SecurityContext().WithRunAsNonRoot(true).WithRunAsUser(65532).
			WithAllowPrivilegeEscalation(false).WithReadOnlyRootFilesystem(true).
			WithCapabilities(corev1apply.Capabilities().WithDrop("ALL"))).
		WithVolumeMounts(
			corev1apply.VolumeMount().WithName("config").WithMountPath("/etc/coredns").WithReadOnly(true),
			corev1apply.VolumeMount().WithName("hosts").WithMountPath("/etc/hosts.d").WithReadOnly(true),
		)
	deployment := appsv1apply.Deployment(name, namespace).WithLabels(labels).WithSpec(appsv1apply.DeploymentSpec().
		WithReplicas(1).
		WithSelector(metav1apply.LabelSelector().WithMatchLabels(labels)).
		WithStrategy(appsv1apply.DeploymentStrategy().WithType(appsv1.RollingUpdateDeploymentStrategyType)).
		WithTemplate(corev1apply.PodTemplateSpec().WithLabels(labels).
			// A changed configuration rolls the pods.
			WithAnnotations(map[string]string{"localcloud.internal/config": hex.EncodeToString(version[:8])}).
			WithSpec(corev1apply.PodSpec().
				WithServiceAccountName(name).
				WithPriorityClassName("system-cluster-critical").
				WithDNSPolicy(corev1.DNSDefault).
				// CoreDNS tolerates a node that is not ready yet, so that its pod is scheduled early.
				WithTolerations(corev1apply.Toleration().WithOperator(corev1.TolerationOpExists)).
				WithTerminationGracePeriodSeconds(5).
				WithContainers(container).
				WithVolumes(
					corev1apply.Volume().WithName("config").WithConfigMap(
						corev1apply.ConfigMapVolumeSource().WithName(name),
					),
					corev1apply.Volume().WithName("hosts").
						WithHostPath(corev1apply.HostPathVolumeSource().WithPath(hostsDir).WithType(
							corev1.HostPathDirectory,
						)),
				))))

	for _, apply := range []func() error{
		func() error { _, err := a.CoreV1().ServiceAccounts(namespace).Apply(ctx, account, force); return err },
		func() error { _, err := a.RbacV1().ClusterRoles().Apply(ctx, role, force); return err },
		func() error { _, err := a.RbacV1().ClusterRoleBindings().Apply(ctx, binding, force); return err },
		func() error { _, err := a.CoreV1().ConfigMaps(namespace).Apply(ctx, configMap, force); return err },
		func() error { _, err := a.CoreV1().Services(namespace).Apply(ctx, svc, force); return err },
		func() error { _, err := a.AppsV1().Deployments(namespace).Apply(ctx, deployment, force); return err },
	} {
		if err := apply(); err != nil {
			return fmt.Errorf("setting up CoreDNS: %w", err)
		}
	}
	return nil
}
