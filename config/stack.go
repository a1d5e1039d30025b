package config

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"dbtier/budget"
	"dbtier/components/alerts"
	"dbtier/components/consumer"
	"dbtier/components/externalsecrets"
	"dbtier/components/fault"
	"dbtier/components/iampolicy"
	"dbtier/components/migrationjob"
	"dbtier/components/naming"
	"dbtier/components/pgbouncer"
	"dbtier/components/rdspostgres"
	"dbtier/components/rdsproxy"
	"dbtier/validation"
	"dbtier/validation/kuberules"
)

// Namespace is the namespace of the config keys.
const Namespace = "dbtier"

// Cloud is where a stack lives.
type Cloud string

const (
	// AWS is the real one.
	AWS Cloud = "aws"
	// Local is the local cloud on this machine, with a stand-in for AWS.
	Local Cloud = "local"
)

// Profile selects the defaults.
type Profile string

const (
	// Production survives the loss of a zone and accidental deletion.
	Production Profile = "production"
	// Development is small and disposable.
	Development Profile = "development"
)

// Stack is the whole config of a stack.
type Stack struct {
	// Cloud is aws or local.
	Cloud Cloud `json:"cloud"`
	// Environment is part of names and tags, for example prod.
	Environment string `json:"environment" example:"prod"`
	// Profile is production or development. It has no default: a stack named prod-eu must not become a small one by
	// accident.
	Profile Profile `json:"profile"`

	Service Service `json:"service"`
	AWS     Account `json:"aws"`
	Network Network `json:"network"`
	Cluster Cluster `json:"cluster"`
	// Database is the instance of RDS.
	Database rdspostgres.Settings `json:"database"`
	// Operator is the External Secrets Operator of the cluster.
	Operator externalsecrets.OperatorSettings `json:"operator"`
	// Secrets are the secrets of the service.
	Secrets Secrets `json:"secrets"`
	Pool    Pool    `json:"pool"`
	// Proxy is RDS Proxy, for stacks with pool.kind: rdsProxy.
	Proxy     rdsproxy.Settings `json:"proxy"`
	Role      Role              `json:"role"`
	IAM       IAM               `json:"iam"`
	Migration Migration         `json:"migration"`
	Consumer  Consumer          `json:"consumer"`
	Drills    Drills            `json:"drills"`
	Drift     Drift             `json:"drift"`
	// Alerts are those of Prometheus.
	Alerts alerts.Settings `json:"alerts"`
	// Scheduling says where all pods of the stack run.
	Scheduling Scheduling `json:"scheduling"`

	// Budget is the connections that the tier can open to the instance. [Stack.Validate] computes it.
	Budget budget.Budget `json:"-"`
	// Unread are the keys that a stack reference should fill and that were not read, because the caller of [Parse]
	// cannot read stacks. It is empty in a program.
	Unread []string `json:"-"`

	// clusterOnly is true for a stack that holds the operator and no service, see [Stack.HoldsService].
	clusterOnly bool
}

// serviceSections are the sections of [Stack] that only a stack with a service uses. A stack that installs the operator
// and has none of them belongs to a cluster. A new section of the service must be listed here.
var serviceSections = []string{
	"service", "database", "secrets", "pool", "proxy", "role", "iam", "migration", "consumer", "drills", "alerts",
}

// Service is the service that the tier is for.
type Service struct {
	// Name of the service. It is part of every other name.
	Name string `json:"name" example:"orders"`
	// Namespace in Kubernetes of the service, its pool and its secrets. Default: the name.
	Namespace string `json:"namespace" example:"shop"`
	// ExistingNamespace uses a namespace that another owner creates. It may hold several services. Default false.
	ExistingNamespace bool `json:"existingNamespace"`
}

// Migration brings the schema to the version that the service's image expects, before its pods start.
type Migration struct {
	migrationjob.Settings
	// Enabled runs a migration with each new version. Default true.
	Enabled bool `json:"enabled"`
	// Connections that the migration opens at most. Default 5.
	Connections int `json:"connections" example:"2"`
	// Reconnect makes the pool open new connections after a migration, before new pods start. Without it, prepared
	// statements of old connections can fail with "cached plan must not change result type". Default true.
	Reconnect bool `json:"reconnect"`
}

// Consumer is the Deployment of the service.
type Consumer struct {
	consumer.Settings
	// Connections that a pod opens to the pool at most: the size of the service's own connection pool. Default 50.
	Connections int `json:"connections" example:"20"`
}

// Defaults is a stack with every default of its profile, and the names that follow from the service and environment.
func Defaults(profile Profile, environment string, service Service) *Stack {
	s := &Stack{
		Profile: profile, Environment: environment, Service: service,
		AWS:       Account{Partition: "aws"},
		Database:  rdspostgres.Development(),
		Operator:  externalsecrets.DefaultOperator(),
		Secrets:   Secrets{Settings: externalsecrets.Defaults()},
		Pool:      Pool{Settings: pgbouncer.Defaults(), Kind: PgBouncer},
		Proxy:     rdsproxy.Defaults(),
		Role:      defaultRole(),
		IAM:       defaultIAM(),
		Migration: Migration{Settings: migrationjob.Defaults(), Enabled: true, Connections: 5, Reconnect: true},
		Consumer:  Consumer{Settings: consumer.Defaults(), Connections: 50},
		Drills:    defaultDrills(),
		Alerts:    alerts.Defaults(),
	}
	// The name follows from the namespace, see settle.
	s.Pool.Name = ""
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
	if s.Pool.Name == "" {
		s.Pool.Name = pgbouncer.Defaults().Name
		if s.Service.ExistingNamespace {
			s.Pool.Name = pgbouncer.NameFor(s.Consumer.Name)
		}
	}
	if s.Consumer.Autoscaling.Enabled && s.Consumer.Autoscaling.MinReplicas == 0 {
		s.Consumer.Autoscaling.MinReplicas = s.Consumer.Replicas
	}
	for i := range s.Network.DirectClients {
		client := &s.Network.DirectClients[i]
		if client.Name == s.Consumer.Name && client.ConnectionsPerPod > 0 && client.Replicas == 0 {
			client.Replicas = s.Consumer.MostReplicas()
		}
	}
	s.Role.settle(s.Database.DatabaseName, s.Pool.Image)
	// The other of the two users gets a new password.
	s.Role.Generation += s.Secrets.Recoveries
	if s.Proxy.Name == "" {
		s.Proxy.Name = rdsproxy.NameFor(s.Database.Identifier)
	}
	s.settleIAM()
}

// Validate returns every fault as a [fault.Error], those between sections included, and computes the budget. Each
// section is validated once; what compares sections is skipped if one of them is invalid.
func (s *Stack) Validate() error {
	var faults fault.List
	fault.OneOf(&faults, "cloud", s.Cloud, AWS, Local)
	faults.Form("environment", s.Environment, validation.Label)
	fault.OneOf(&faults, "profile", s.Profile, Production, Development)
	section := func(path string, err error) (valid bool) {
		faults.Within(path, err)
		return err == nil
	}
	account := section("aws", s.AWS.validate(s.Cloud))
	section("cluster", s.Cluster.validate(s.Cloud))
	section("operator", s.Operator.Validate())
	section("scheduling", s.Scheduling.validate())
	if account {
		s.checkPlaces(&faults)
	}
	if !s.HoldsService() {
		if s.KnowsNetwork() {
			faults.Within("network", s.Network.validate())
		}
		return faults.Err()
	}
	s.checkService(&faults)
	s.checkSecurityGroups(&faults)
	network := section("network", s.Network.validate())
	database := section("database", s.Database.Validate())
	s.checkLocal(&faults)
	secrets := section("secrets", s.validateSecrets())
	pool := section("", s.validatePool())
	role := section("role", s.validateRole())
	iam := section("", s.validateIAM())
	migration := section("migration", s.Migration.validate())
	service := section("consumer", s.Consumer.validate())
	drills := section("drills", s.validateDrills())
	section("alerts", s.Alerts.Validate())
	if service && pool && drills && s.Pool.Kind == PgBouncer {
		s.checkClients(&faults)
		s.checkLifetime(&faults)
	}
	if service && pool && secrets {
		s.checkObjects(&faults)
		s.checkVariables(&faults)
	}
	if role && database {
		s.checkUsers(&faults)
	}
	if network && database {
		s.checkAddresses(&faults)
	}
	s.Budget = s.connections()
	if network && database && pool && iam && migration && (service || !s.IAM.Enabled) {
		s.checkBudget(&faults)
	}
	return faults.Err()
}

// checkLocal refuses settings of the database for which the local cloud has no service.
func (s *Stack) checkLocal(faults *fault.List) {
	if s.Cloud != Local {
		return
	}
	faults.Check(!s.Database.Alarms.Enabled, "database.alarms.enabled", true,
		"the local cloud has no CloudWatch alarms; use false there")
	faults.Check(s.Database.Events.TopicArn == "", "database.events.topicArn", s.Database.Events.TopicArn,
		"the local cloud has no SNS; leave it out there")
	faults.Check(len(s.Database.Roles) == 0, "database.roles", slices.Sorted(maps.Keys(s.Database.Roles)),
		"the local cloud's databases cannot assume roles; leave it out there")
}

// checkAddresses compares the database's kinds of addresses with its ranges: a NetworkPolicy without a range of a kind
// keeps the pool from these addresses, and no other pod.
func (s *Stack) checkAddresses(faults *fault.List) {
	six := func(cidr string) bool { return strings.Contains(cidr, ":") }
	has := slices.ContainsFunc(s.Network.DatabaseCIDRs, six)
	faults.Check(has || s.Database.NetworkType != "DUAL", "network.databaseCidrs", s.Network.DatabaseCIDRs,
		"has no IPv6 range, but database.networkType is DUAL; add the IPv6 ranges of the subnets in subnetIds")
	faults.Check(slices.ContainsFunc(s.Network.DatabaseCIDRs, func(cidr string) bool { return !six(cidr) }),
		"network.databaseCidrs", s.Network.DatabaseCIDRs,
		"has no IPv4 range, but every instance has an IPv4 address; add the IPv4 ranges of the subnets in subnetIds")
}

// checkService checks the names of the service. Kubernetes keeps some namespaces for itself, and the operator's pods
// must not share theirs with a service's, whose Pod Security and NetworkPolicies would apply to them.
func (s *Stack) checkService(faults *fault.List) {
	const path = "service.namespace"
	faults.Form("service.name", s.Service.Name, validation.Label)
	if !faults.Form(path, s.Service.Namespace, validation.Label) {
		return
	}
	reserved := kuberules.ReservedNamespace(s.Service.Namespace)
	faults.Check(reserved == "", path, s.Service.Namespace, "%s; want a namespace of the service's own", reserved)
	faults.Check(s.Service.Namespace != s.Operator.Namespace, path, s.Service.Namespace,
		"is the operator's namespace (operator.namespace); want a namespace of the service's own")
}

// checkUsers adds a fault for each user of the application that is the master user: the bootstrap of the role would
// take its rights away. PostgreSQL compares names without quotes in lower case.
func (s *Stack) checkUsers(faults *fault.List) {
	if s.Role.PoolUser != RoleUser {
		return
	}
	for _, user := range []struct{ path, value, name string }{
		{"role.name", s.Role.Name, s.Role.Name},
		{"role.name", s.Role.Name, s.Role.Name + "_a"},
		{"role.name", s.Role.Name, s.Role.Name + "_b"},
		{"role.iamUser", s.Role.IAMUser, s.Role.IAMUser},
	} {
		faults.Check(!strings.EqualFold(user.name, s.Database.MasterUsername), user.path, user.value,
			"makes the user %s, which is the master user (database.masterUsername), whose rights it would take "+
				"away; want "+
				"another name", user.name)
	}
}

func (m *Migration) validate() error {
	if !m.Enabled {
		return nil
	}
	var faults fault.List
	if len(m.Command) == 0 {
		faults.Add("command", nil, "is missing: the migration's command as a list, such as [alembic, upgrade, head]; "+
			"without migrations set migration.enabled to false")
		return faults.Err()
	}
	faults.Between("connections", m.Connections, 1, 100, "")
	faults.Within("", m.Validate())
	return faults.Err()
}

func (c *Consumer) validate() error {
	var faults fault.List
	faults.Between("connections", c.Connections, 1, 5000, "that a pod opens at most")
	faults.Within("", c.Validate())
	return faults.Err()
}

// HoldsService is true for a stack with a service and its database. It is false for a stack that holds only what a
// cluster has once, the operator.
func (s *Stack) HoldsService() bool { return !s.clusterOnly }

// KnowsNetwork is true if the stack has a network: always with a service. A cluster's stack can have one for the
// services' stacks to refer to.
func (s *Stack) KnowsNetwork() bool { return s.HoldsService() || !reflect.ValueOf(s.Network).IsZero() }

// Tags are the tags of every AWS resource of the stack.
func (s *Stack) Tags() map[string]string {
	tags := builtInTags(s.Service.Name, s.Environment)
	maps.Copy(tags, s.AWS.Tags)
	return tags
}

// RoleName is the name of an IAM role of the stack. Roles are global to an account, so the region is part of it.
func (s *Stack) RoleName(purpose string) string {
	return naming.Join(naming.RoleLimit, s.Service.Name, s.Environment, s.AWS.Region, purpose)
}

// SecretsServiceAccount is the name of the ServiceAccount with which the operator reads the service's secrets.
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
