package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"gopkg.in/yaml.v3"

	"dbtier/components/consumer"
	"dbtier/components/externalsecrets"
	"dbtier/components/fault"
	"dbtier/components/iampolicy"
	"dbtier/components/irsarole"
	"dbtier/components/migrationjob"
	"dbtier/components/naming"
	"dbtier/components/pgbouncer"
	"dbtier/components/rdspostgres"
	"dbtier/components/rdsproxy"
	"dbtier/validation"
)

// Namespace is the namespace of the config keys.
const Namespace = "dbtier"

// Cloud is where a stack lives.
type Cloud string

const (
	// AWS is the real one.
	AWS Cloud = "aws"
	// Local is the cloud on this machine, where AWS is stood in for.
	Local Cloud = "local"
)

// Profile chooses the defaults.
type Profile string

const (
	// Production survives the loss of a zone and a mistake.
	Production Profile = "production"
	// Development is small and can be thrown away.
	Development Profile = "development"
)

// Stack is the whole config of a stack.
type Stack struct {
	// Cloud is aws or local.
	Cloud Cloud `json:"cloud"`
	// Environment names the stack's environment in names and tags, for example prod.
	Environment string `json:"environment"`
	// Profile is production or development. It is asked for and not guessed: a stack named prod-eu must not silently be
	// a small one.
	Profile Profile `json:"profile"`

	Service  Service              `json:"service"`
	AWS      Account              `json:"aws"`
	Network  Network              `json:"network"`
	Cluster  Cluster              `json:"cluster"`
	Database rdspostgres.Settings `json:"database"`
	// Operator is the cluster's External Secrets Operator, Secrets what the service has of it.
	Operator  externalsecrets.OperatorSettings `json:"operator"`
	Secrets   Secrets                          `json:"secrets"`
	Pool      Pool                             `json:"pool"`
	Proxy     rdsproxy.Settings                `json:"proxy"`
	Role      Role                             `json:"role"`
	IAM       IAM                              `json:"iam"`
	Migration Migration                        `json:"migration"`
	Consumer  Consumer                         `json:"consumer"`

	// clusterOnly says that the stack holds the cluster's part and no service's, see [Stack.HoldsService].
	clusterOnly bool
}

// Service is who the tier is for.
type Service struct {
	// Name goes into every other name.
	Name string `json:"name"`
	// Namespace in Kubernetes of the service, its pool and its secrets. Default: the name.
	Namespace string `json:"namespace"`
	// ExistingNamespace leaves the namespace itself to someone else: it must be there. Default false.
	ExistingNamespace bool `json:"existingNamespace"`
}

// Migration brings the schema to the version that the service's image expects, before its pods start.
type Migration struct {
	migrationjob.Settings

	// Enabled runs a migration with each new version. Default true.
	Enabled bool `json:"enabled"`
	// Connections that it opens at most. Default 5.
	Connections int `json:"connections"`
	// Reconnect has the pool open new connections after a migration, before new pods start; prepared statements of old
	// connections can fail with "cached plan must not change result type". Default true.
	Reconnect bool `json:"reconnect"`
}

// Consumer is the service's Deployment.
type Consumer struct {
	consumer.Settings

	// Connections that a pod opens to the pool at most: the size of the service's own pool. Default 50.
	Connections int `json:"connections"`
}

// Account is the AWS account of the stack. Its facts are config, so that a preview needs no call to AWS.
type Account struct {
	// Region, for example ap-northeast-2.
	Region string `json:"region"`
	// AccountID is 12 digits, in quotes. The provider refuses credentials of another account.
	AccountID string `json:"accountId"`
	// Partition is aws (default), aws-cn or aws-us-gov.
	Partition string `json:"partition"`
	// Endpoint of the AWS stand-in as the engine reaches it; for local stacks only, where it is the mark without which
	// the stand-in does not serve them.
	Endpoint string `json:"endpoint"`
	// ClusterEndpoint of the stand-in as pods reach it; for local stacks only.
	ClusterEndpoint string `json:"clusterEndpoint"`
	// PermissionsBoundaryArn is the policy that bounds every role made here, where an account demands one. Default
	// none.
	PermissionsBoundaryArn string `json:"permissionsBoundaryArn"`
	// Tags of every AWS resource, besides service, environment and managed-by.
	Tags map[string]string `json:"tags"`
}

// Network is where the database lies and who reaches it.
type Network struct {
	// StackReference takes what is not given here from the outputs of another stack.
	StackReference NetworkReference `json:"stackReference"`
	// VpcID of the cluster.
	VpcID string `json:"vpcId"`
	// SubnetIDs of the database, in at least two zones.
	SubnetIDs []string `json:"subnetIds"`
	// DatabaseCIDRs are the address ranges of these subnets. Kubernetes' NetworkPolicies keep pods without a declared
	// need out of them.
	DatabaseCIDRs []string `json:"databaseCidrs"`
	// DirectClients are pods in the service's namespace that may reach the database itself, besides pool and migration.
	// Default none.
	DirectClients []DirectClient `json:"directClients"`
	// CABundle is a file with the authorities that sign the instance's certificate, in PEM, its path relative to the
	// project. Default: those of RDS in the stack's region, which come with this program.
	CABundle string `json:"caBundle"`
	// Clients are further security groups that may connect to the database, besides the cluster's nodes.
	Clients []Client `json:"clients"`
}

// DirectClient is a group of pods that connects to the database itself.
type DirectClient struct {
	// Name is the pods' label app.kubernetes.io/name.
	Name string `json:"name"`
	// Connections that all its pods together open at most.
	Connections int `json:"connections"`
	// ConnectionsPerPod that each of its pods opens at most, in place of connections. While an update has old and new
	// pods they count twice.
	ConnectionsPerPod int `json:"connectionsPerPod"`
	// Replicas of it, at most. Default: for the service itself what consumer says (with autoscaling, maxReplicas).
	Replicas int `json:"replicas"`
}

// Client is a further client of the database.
type Client struct {
	// Name says who it is, for example bastion.
	Name string `json:"name"`
	// SecurityGroupID of its machines.
	SecurityGroupID string `json:"securityGroupId"`
}

// Cluster is the Kubernetes cluster (EKS, or the local one).
type Cluster struct {
	// StackReference takes what is not given here from the outputs of another stack.
	StackReference ClusterReference `json:"stackReference"`
	// OIDCProviderArn is the cluster's identity provider in IAM.
	OIDCProviderArn string `json:"oidcProviderArn"`
	// NodeSecurityGroupID of the nodes, and with the VPC CNI of the pods.
	NodeSecurityGroupID string `json:"nodeSecurityGroupId"`
	// Kubeconfig is a path, relative to the project; default: what kubectl would use. Local stacks have their own.
	Kubeconfig string `json:"kubeconfig"`
	// Context in the kubeconfig; default: its current one. Name it: else a stack follows kubectl's whims.
	Context string `json:"context"`
}

// Load reads the config of the stack that is being run. The stack's file in the project's folder, where there is one,
// tells which keys there are: Pulumi lets a program ask for a key, but not which keys it has. The error is a list of
// all faults.
func Load(ctx *pulumi.Context, project string) (*Stack, error) {
	file := fmt.Sprintf("Pulumi.%s.yaml", ctx.Stack())
	keys, err := keysOf(filepath.Join(project, file))
	if err != nil {
		return nil, err
	}
	stack, err := read(ctx, keys, referTo(ctx))
	if err == nil {
		return stack, nil
	}
	var faults *fault.Error
	if !errors.As(err, &faults) {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	lines := make([]string, 0, len(faults.Faults))
	for _, f := range faults.Faults {
		lines = append(lines, fmt.Sprintf("%s: %s:%s", file, Namespace, f))
	}
	return nil, errors.New("the stack's config has faults\n" + strings.Join(lines, "\n"))
}

// keysOf lists the keys of this namespace in a stack's file, without the namespace.
func keysOf(file string) ([]string, error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the stack's config: %w", err)
	}
	var settings struct {
		Config map[string]yaml.Node `yaml:"config"`
	}
	if err := yaml.Unmarshal(text, &settings); err != nil {
		return nil, fmt.Errorf("reading the stack's config %s: %w", filepath.Base(file), err)
	}
	var keys []string
	for key := range settings.Config {
		if name, ours := strings.CutPrefix(key, Namespace+":"); ours {
			keys = append(keys, name)
		}
	}
	slices.Sort(keys)
	return keys, nil
}

// source is what config values come from: a [pulumi.Context].
type source interface {
	GetConfig(key string) (string, bool)
	IsConfigSecret(key string) bool
	Stack() string
}

func read(from source, keys []string, others otherStacks) (*Stack, error) {
	var faults fault.List
	values := rawValues(from, keys, &faults)
	// What the defaults depend on comes first; its faults are found again in the second reading.
	var first Stack
	var again fault.List
	decode(&again, "", values, reflect.ValueOf(&first).Elem())

	stack := Defaults(first.Profile, first.Environment, first.Service)
	decode(&faults, "", values, reflect.ValueOf(stack).Elem())
	stack.clusterOnly = clusterOnly(values)
	stack.Pool.unused(&faults, values)
	unresolved := stack.resolveReferences(&faults, others)
	stack.settle()
	var invalid *fault.Error
	if errors.As(stack.Validate(), &invalid) {
		invalid.Faults = slices.DeleteFunc(invalid.Faults,
			func(f fault.Fault) bool { return slices.Contains(unresolved, f.Path) })
		faults.Within("", invalid)
	}
	if err := faults.Err(); err != nil {
		return nil, err
	}
	return stack, nil
}

// serviceSections are those that only a stack with a service has a use for.
var serviceSections = []string{
	"service", "database", "secrets", "pool", "proxy", "role", "iam", "migration",
	"consumer",
}

// clusterOnly tells a stack that holds the cluster's operator and nothing else: it says so itself, and has no section
// of a service. A service's stack that lost its section service by mistake is not taken for one.
func clusterOnly(values map[string]any) bool {
	operator, _ := values["operator"].(map[string]any)
	return operator["install"] == true && !slices.ContainsFunc(serviceSections, func(name string) bool {
		_, given := values[name]
		return given
	})
}

// HoldsService tells a stack with a service, and with it a database, from one that holds only what a cluster has once.
func (s *Stack) HoldsService() bool { return !s.clusterOnly }

// rawValues parses each section's value, which Pulumi hands over as JSON when it has parts, and as text when it has
// none.
func rawValues(from source, keys []string, faults *fault.List) map[string]any {
	values := map[string]any{}
	known := fieldsOf(reflect.ValueOf(&Stack{}).Elem())
	for name, field := range known {
		raw, ok := from.GetConfig(Namespace + ":" + name)
		if !ok {
			continue
		}
		switch {
		case from.IsConfigSecret(Namespace + ":" + name):
			faults.Add(name, nil,
				"holds an encrypted value, but the tier takes no secret from its config: passwords are made where "+
					"they are used")
		case field.Kind() == reflect.String:
			values[name] = raw
		default:
			decoder := json.NewDecoder(strings.NewReader(raw))
			decoder.UseNumber()
			var value any
			if err := decoder.Decode(&value); err != nil {
				value = raw
			}
			values[name] = value
		}
	}
	for _, name := range keys {
		if _, ok := known[name]; !ok {
			// Reported by decode with the others.
			values[name] = ""
		}
	}
	return values
}

// Defaults is a stack in which only what nobody can guess is missing.
func Defaults(profile Profile, environment string, service Service) *Stack {
	s := &Stack{Profile: profile, Environment: environment, Service: service}
	s.AWS.Partition = "aws"
	s.Database = rdspostgres.Development()
	s.Operator = externalsecrets.DefaultOperator()
	s.Secrets = Secrets{Settings: externalsecrets.Defaults()}
	s.Pool = Pool{Settings: pgbouncer.Defaults(), Kind: PgBouncer}
	s.Proxy = rdsproxy.Defaults()
	s.Role = defaultRole()
	s.IAM = defaultIAM()
	s.Migration = Migration{Settings: migrationjob.Defaults(), Enabled: true, Connections: 5, Reconnect: true}
	s.Consumer = Consumer{Settings: consumer.Defaults(), Connections: 50}
	if profile == Production {
		s.Database = rdspostgres.Production()
		s.Operator.Replicas = 2
		s.Consumer.Replicas = 3
		s.Proxy.LogRetention = s.Database.LogRetention
	}
	if service.Name != "" && environment != "" {
		s.Database.Identifier = naming.Join(naming.IdentifierLimit, service.Name, environment)
		s.Database.DatabaseName = strings.ReplaceAll(service.Name, "-", "_")
		s.Database.MasterUsername = s.Database.DatabaseName + "_admin"
	}
	return s
}

// settle fills what follows from other values.
func (s *Stack) settle() {
	if s.Service.Namespace == "" {
		s.Service.Namespace = s.Service.Name
	}
	if s.Consumer.Name == "" {
		s.Consumer.Name = s.Service.Name
	}
	for i := range s.Network.DirectClients {
		client := &s.Network.DirectClients[i]
		if client.Name == s.Consumer.Name && client.ConnectionsPerPod > 0 && client.Replicas == 0 {
			client.Replicas = s.Consumer.MostReplicas()
		}
	}
	s.Role.settle(s.Database.DatabaseName, s.Pool.Image)
	if s.Proxy.Name == "" {
		s.Proxy.Name = rdsproxy.NameFor(s.Database.Identifier)
	}
	s.settleIAM()
}

// Validate reports every fault, those between sections among them.
func (s *Stack) Validate() error {
	var faults fault.List
	fault.OneOf(&faults, "cloud", s.Cloud, AWS, Local)
	faults.Form("environment", s.Environment, validation.Label)
	fault.OneOf(&faults, "profile", s.Profile, Production, Development)
	faults.Within("aws", s.AWS.validate(s.Cloud))
	faults.Within("cluster", s.Cluster.validate(s.Cloud))
	faults.Within("operator", s.Operator.Validate())
	if !s.HoldsService() {
		if s.KnowsNetwork() {
			faults.Within("network", s.Network.validate())
		}
		return faults.Err()
	}
	faults.Form("service.name", s.Service.Name, validation.Label)
	faults.Form("service.namespace", s.Service.Namespace, validation.Label)
	faults.Within("network", s.Network.validate())
	faults.Within("database", s.Database.Validate())
	faults.Within("secrets", s.validateSecrets())
	s.validatePool(&faults)
	faults.Within("role", s.Role.validate())
	s.validateIAM(&faults)
	if s.Migration.Enabled {
		faults.Within("migration", s.Migration.validate())
	}
	faults.Within("consumer", s.Consumer.validate())
	if s.Pool.Kind == PgBouncer && s.Consumer.validate() == nil && s.Pool.Validate() == nil {
		s.checkClients(&faults)
	}
	s.checkBudget(&faults)
	return faults.Err()
}

// KnowsNetwork says that the stack has facts of a network: always with a service; a cluster's stack may have them for
// the services' stacks to refer to.
func (s *Stack) KnowsNetwork() bool { return s.HoldsService() || !reflect.ValueOf(s.Network).IsZero() }

func (m *Migration) validate() error {
	var faults fault.List
	if len(m.Command) == 0 {
		faults.Add("command", nil, "is missing: the migration's command as a list, such as [alembic, upgrade, head]; "+
			"without migrations set migration.enabled to false")
		return faults.Err()
	}
	faults.Between("connections", m.Connections, 1, 100, "")
	faults.Within("", m.Settings.Validate())
	return faults.Err()
}

func (c *Consumer) validate() error {
	var faults fault.List
	faults.Between("connections", c.Connections, 1, 5000, "that a pod opens at most")
	faults.Within("", c.Settings.Validate())
	return faults.Err()
}

func (a *Account) validate(cloud Cloud) error {
	var faults fault.List
	faults.Form("region", a.Region, validation.Region)
	faults.Form("accountId", a.AccountID, validation.AccountID)
	fault.OneOf(&faults, "partition", a.Partition, "aws", "aws-cn", "aws-us-gov")
	faults.OptionalForm("permissionsBoundaryArn", a.PermissionsBoundaryArn, validation.PolicyArn)
	for name, endpoint := range map[string]string{"endpoint": a.Endpoint, "clusterEndpoint": a.ClusterEndpoint} {
		switch cloud {
		case Local:
			at, err := url.Parse(endpoint)
			faults.Check(err == nil && at.Scheme != "" && at.Host != "", name, endpoint,
				"want the URL of the local cloud's AWS stand-in, for example http://127.0.0.1:14566")
		case AWS:
			faults.Check(endpoint == "", name, endpoint,
				"is for local stacks; leave it out, or set dbtier:cloud to local")
		}
	}
	return faults.Err()
}

func (n *Network) validate() error {
	var faults fault.List
	faults.Form("vpcId", n.VpcID, validation.VpcID)
	faults.Check(len(n.SubnetIDs) >= 2, "subnetIds", n.SubnetIDs,
		"want subnets in at least two zones, which RDS demands")
	for i, id := range n.SubnetIDs {
		path := fmt.Sprintf("subnetIds[%d]", i)
		faults.Form(path, id, validation.SubnetID)
		faults.Check(slices.Index(n.SubnetIDs, id) == i, path, id, "is named twice")
	}
	faults.Check(len(n.DatabaseCIDRs) > 0, "databaseCidrs", nil,
		"is missing: the address ranges of the subnets in subnetIds")
	for i, text := range n.DatabaseCIDRs {
		prefix, err := netip.ParsePrefix(text)
		if faults.Check(err == nil, fmt.Sprintf("databaseCidrs[%d]", i), text,
			validation.CIDRRule) {
			faults.Check(prefix == prefix.Masked(), fmt.Sprintf("databaseCidrs[%d]", i), text,
				"has bits behind its length; want %s", prefix.Masked())
		}
	}
	for i, client := range n.DirectClients {
		path := fmt.Sprintf("directClients[%d]", i)
		faults.Form(path+".name", client.Name, validation.Label)
		if client.ConnectionsPerPod == 0 {
			faults.Between(path+".connections", client.Connections, 1, 5000, "that all its pods together open at most")
			faults.Check(client.Replicas == 0, path+".replicas", client.Replicas,
				"is for connectionsPerPod; leave it out, or give that in place of connections")
			continue
		}
		faults.Between(path+".connectionsPerPod", client.ConnectionsPerPod, 1, 5000,
			"that each of its pods opens at most")
		faults.Check(client.Connections == 0, path+".connections", client.Connections,
			"and connectionsPerPod are both given; keep one of them")
		faults.Between(path+".replicas", client.Replicas, 1, 500, "pods, at most")
	}
	for i, client := range n.Clients {
		path := fmt.Sprintf("clients[%d]", i)
		faults.Check(client.Name != "", path+".name", nil, "is missing: say who it is")
		faults.Form(path+".securityGroupId", client.SecurityGroupID, validation.SecurityGroupID)
	}
	return faults.Err()
}

func (c *Cluster) validate(cloud Cloud) error {
	var faults fault.List
	if reason := irsarole.CheckProviderArn(c.OIDCProviderArn); reason != "" {
		faults.Add("oidcProviderArn", c.OIDCProviderArn, "%s", reason)
	}
	faults.Form("nodeSecurityGroupId", c.NodeSecurityGroupID, validation.SecurityGroupID)
	if cloud == Local {
		faults.Check(c.Kubeconfig == "" && c.Context == "", "kubeconfig", c.Kubeconfig+c.Context,
			"local stacks use the local cloud's own; leave kubeconfig and context out")
	}
	return faults.Err()
}

// Tags are those of every AWS resource of the stack.
func (s *Stack) Tags() map[string]string {
	tags := maps.Clone(s.AWS.Tags)
	if tags == nil {
		tags = map[string]string{}
	}
	tags["service"], tags["environment"], tags["managed-by"] = s.Service.Name, s.Environment, Namespace
	return tags
}

// SecretsServiceAccount names the ServiceAccount with which the operator reads this service's secrets.
func (s *Stack) SecretsServiceAccount() string {
	return naming.Join(naming.LabelLimit, s.Service.Name, "secrets")
}

// STSEndpoint is where the driver reaches STS.
func (s *Stack) STSEndpoint() string {
	if s.Cloud == Local {
		return s.AWS.Endpoint
	}
	return fmt.Sprintf("https://sts.%s.%s", s.AWS.Region, iampolicy.Domain(s.AWS.Partition))
}
