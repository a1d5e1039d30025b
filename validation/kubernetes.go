package validation

// Forms of Kubernetes.
var (
	// Label is a DNS label (RFC 1123): the names of namespaces, Services and most objects.
	Label = form(`[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?`,
		"want 1 to 63 lower-case letters, digits and hyphens, beginning and ending with a letter or digit")
	// ObjectName is the name of a Secret, a priority class and other objects whose name is a DNS subdomain.
	ObjectName = form(`[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*`,
		"want lower-case letters, digits, hyphens and dots, beginning and ending with a letter or digit").atMost(253)
	// LabelKey is the key of a label, with or without a prefix.
	LabelKey = form(`([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?`,
		"want the key of a label, such as app.kubernetes.io/name")
	// LabelValue is the value of a label. It may be empty.
	LabelValue = form(`([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?`,
		"want the value of a label: up to 63 letters, digits, hyphens, underscores and dots")
	// DataKey is a key of a Secret or ConfigMap.
	DataKey = form(`[-._a-zA-Z0-9]{1,253}`, "want letters, digits, hyphens, underscores and dots")
	// SecretType is the type of a Secret.
	SecretType = form(`[a-zA-Z0-9]([-a-zA-Z0-9./]{0,251}[a-zA-Z0-9])?`,
		"want a type of Secrets, such as kubernetes.io/tls")
	// EnvName is the name of an environment variable as shells and most runtimes read it.
	EnvName = form(`[A-Za-z_][A-Za-z0-9_]*`, "want the name of an environment variable")
)
