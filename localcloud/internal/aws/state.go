package aws

import (
	"strings"
	"time"

	"dbtier/localcloud/internal/aws/iam"
)

// state is the whole state of the stand-in. It is one document on disk.
type state struct {
	Version int
	// SessionKey seals the session tokens of temporary credentials, which are not stored.
	SessionKey []byte
	Admin      adminUser
	// EndpointSuffixes are the random parts of DB endpoints, one for each region, as in an AWS account.
	EndpointSuffixes map[string]string

	Roles           map[string]*role            // by name
	Keys            map[string]*kmsKey          // by key ID
	Aliases         map[string]*kmsAlias        // by regional(region, name)
	Secrets         map[string]*secret          // by ARN
	SecurityGroups  map[string]*securityGroup   // by ID
	LogGroups       map[string]*logGroup        // by regional(region, name)
	SubnetGroups    map[string]*subnetGroup     // by regional(region, name)
	ParameterGroups map[string]*parameterGroup  // by regional(region, name)
	Instances       map[string]*dbInstance      // by regional(region, identifier)
	Snapshots       map[string]*dbSnapshot      // by regional(region, identifier)
	Backups         map[string]*automatedBackup // by the instance's resource ID
	Events          []dbEvent                   // the oldest first
}

// stateVersion is increased when older states can no longer be read.
const stateVersion = 1

type adminUser struct {
	ID, AccessKeyID, SecretAccessKey string
	Created                          time.Time
}

// origin records the create request of a resource. A repeated create adopts the resource only if both name and inputs
// are the same. This happens when the engine was killed between the creation and its record. The stored state calls it
// Door, as earlier versions did.
type origin struct {
	Name   string
	Inputs map[string]any
}

type role struct {
	Name, Path, ID, Description string
	Created                     time.Time
	Trust                       string // policy document
	MaxSession                  int    // seconds
	Boundary                    string // ARN of a managed policy, or ""
	Tags                        map[string]string
	Inline                      map[string]string // documents by name
	Attached                    []string          // ARNs of managed policies
	ForceDetach                 bool
	Origin                      *origin            `json:"Door"`
	InlineOrigins               map[string]*origin `json:"InlineDoor"`
}

func (r *role) arn() string { return "arn:aws:iam::" + AccountID + ":role" + r.Path + r.Name }

type kmsKey struct {
	ID, Region, Description, Policy string
	Created                         time.Time
	Enabled                         bool
	DeletionWindow                  int // days
	DeletionDate                    *time.Time
	Rotation                        bool
	RotationDays                    int
	Tags                            map[string]string
	AWSManaged                      string  // service of an AWS managed key, or "" for a customer managed key
	Origin                          *origin `json:"Door"`
}

func (k *kmsKey) arn() string { return "arn:aws:kms:" + k.Region + ":" + AccountID + ":key/" + k.ID }

// keyState returns KeyState of the KMS API.
func (k *kmsKey) keyState() string {
	switch {
	case k.DeletionDate != nil:
		return "PendingDeletion"
	case !k.Enabled:
		return "Disabled"
	default:
		return "Enabled"
	}
}

type kmsAlias struct {
	Region, Name, KeyID string
	Created             time.Time
	Origin              *origin `json:"Door"`
}

func (a *kmsAlias) arn() string { return "arn:aws:kms:" + a.Region + ":" + AccountID + ":" + a.Name }

type secret struct {
	ARN, Name, Region, Description string
	KMSKeyID                       string // key ID, or "" for the AWS managed key
	Tags                           map[string]string
	Owner                          string // "rds" for a managed secret
	Created, Changed               time.Time
	Rotated, Accessed              *time.Time
	DeletionDate                   *time.Time
	RotationEnabled                bool
	RotationDays                   int
	NextRotation                   *time.Time
	Versions                       map[string]*secretVersion // by version ID
}

type secretVersion struct {
	ID      string
	String  *string
	Binary  []byte
	Created time.Time
	Stages  []string
}

type securityGroup struct {
	ID, Region, Name, Description, VPC string
	Ingress, Egress                    []securityRule
	Tags                               map[string]string
	Origin                             *origin `json:"Door"`
}

func (g *securityGroup) arn() string {
	return "arn:aws:ec2:" + g.Region + ":" + AccountID + ":security-group/" + g.ID
}

// securityRule is one inline rule. Both ports are 0 for protocol -1.
type securityRule struct {
	Protocol       string   `json:"protocol"`
	FromPort       int      `json:"fromPort"`
	ToPort         int      `json:"toPort"`
	CIDRBlocks     []string `json:"cidrBlocks,omitempty"`
	IPv6CIDRBlocks []string `json:"ipv6CidrBlocks,omitempty"`
	SecurityGroups []string `json:"securityGroups,omitempty"`
	Self           bool     `json:"self,omitempty"`
	Description    string   `json:"description,omitempty"`
}

type logGroup struct {
	Region, Name, KMSKeyARN, Class string
	Retention                      int // days, or 0 for no limit
	Created                        time.Time
	Tags                           map[string]string
	// Origin is nil if RDS created the group. A later create of the same name then fails.
	Origin *origin `json:"Door"`
}

func (g *logGroup) arn() string {
	return "arn:aws:logs:" + g.Region + ":" + AccountID + ":log-group:" + g.Name
}

type subnetGroup struct {
	Region, Name, Description string
	Subnets                   []string
	Tags                      map[string]string
	Origin                    *origin `json:"Door"`
}

func (g *subnetGroup) arn() string {
	return "arn:aws:rds:" + g.Region + ":" + AccountID + ":subgrp:" + g.Name
}

func (g *subnetGroup) conditionKeys(ctx iam.Context) { ctx.SetTags("aws:ResourceTag", g.Tags) }

type parameterGroup struct {
	Region, Name, Family, Description string
	Parameters                        map[string]parameter // by lower-case name
	Tags                              map[string]string
	Origin                            *origin `json:"Door"`
}

type parameter struct{ Value, Method string }

func (g *parameterGroup) arn() string {
	return "arn:aws:rds:" + g.Region + ":" + AccountID + ":pg:" + g.Name
}

func (g *parameterGroup) conditionKeys(ctx iam.Context) { ctx.SetTags("aws:ResourceTag", g.Tags) }

func (g *parameterGroup) values() map[string]string {
	out := map[string]string{}
	for name, p := range g.Parameters {
		out[name] = p.Value
	}
	return out
}

type dbInstance struct {
	Region, Identifier, ResourceID string
	Status                         string
	Created                        time.Time
	Tags                           map[string]string
	Origin                         *origin `json:"Door"`

	settings
	// Pending are the settings that wait for the maintenance window, or nil.
	Pending *settings

	// FromSnapshot is the snapshot that the instance began with, and FromBackup the resource ID of the instance whose
	// archive it replayed until RestoreTime, or to the end if that is zero.
	FromSnapshot    string
	FromBackup      string    `json:",omitempty"`
	RestoreTime     time.Time `json:",omitzero"`
	AZ, SecondaryAZ string
	Address         string // address of the engine's front, inside the local cloud
	SecretARN       string
	SecretStatus    string // creating, active, rotating or impaired
	// Applied is what the engine runs with.
	Applied applied
	// Faulty are the values of the parameter group with which PostgreSQL does not start, after such a fault.
	Faulty   map[string]string `json:",omitempty"`
	Deleting *deletion
}

// settings are the settings that ModifyDBInstance can change.
type settings struct {
	Class                              string
	EngineVersion, EngineVersionActual string
	AllocatedStorage                   int // GiB
	MaxAllocatedStorage                int
	StorageType                        string
	Iops, Throughput                   int
	Encrypted                          bool
	KMSKeyARN                          string
	MasterUsername, DBName             string
	Port                               int
	MultiAZ                            bool
	SubnetGroup, ParameterGroup        string
	SecurityGroups                     []string
	BackupRetention                    int // days
	BackupWindow, MaintenanceWindow    string
	CopyTags, AutoMinor, Public        bool
	DeletionProtection, IAMAuth        bool
	DeleteAutomatedBackups             bool
	CACertificate                      string
	MonitoringInterval                 int // seconds
	MonitoringRole                     string
	PerformanceInsights                bool
	PIRetention                        int // days
	PIKMSKeyARN                        string
	InsightsMode                       string
	LogExports                         []string
	NetworkType, LifecycleSupport      string
}

// applied is what the engine runs with. A static parameter with another value in the group waits for a reboot.
type applied struct {
	MaxConnections int
	Parameters     map[string]string
}

type deletion struct {
	SkipFinalSnapshot bool
	FinalSnapshot     string
	// Broken says that a fault had stopped the database, which the status no longer shows.
	Broken bool `json:",omitempty"`
}

func (i *dbInstance) arn() string {
	return "arn:aws:rds:" + i.Region + ":" + AccountID + ":db:" + i.Identifier
}

type dbSnapshot struct {
	Region, Identifier, Instance, ResourceID, Type string
	// Status is creating or available. It is empty for a snapshot without data, of an earlier version.
	Status string
	// Source is the snapshot that this one is copied from.
	Source, DBName string
	// Origin is the resource of the provider that took it.
	Origin                                         *origin
	Created, Completed, InstanceCreated            time.Time
	AllocatedStorage, Port                         int
	EngineVersion, MasterUsername, StorageType, AZ string
	KMSKeyARN                                      string
	Encrypted, IAMAuth                             bool
	Tags                                           map[string]string
}

func (s *dbSnapshot) arn() string {
	return "arn:aws:rds:" + s.Region + ":" + AccountID + ":snapshot:" + s.Identifier
}

func (s *dbSnapshot) conditionKeys(ctx iam.Context) { ctx.SetTags("aws:ResourceTag", s.Tags) }

func newState() *state {
	return &state{
		Version:    stateVersion,
		SessionKey: randomBytes(32),
		Admin: adminUser{
			ID: "AIDA" + randomID(17), AccessKeyID: "AKIA" + randomID(16), SecretAccessKey: randomSecretKey(),
			Created: time.Now().UTC(),
		},
		EndpointSuffixes: map[string]string{},
		Roles:            map[string]*role{},
		Keys:             map[string]*kmsKey{},
		Aliases:          map[string]*kmsAlias{},
		Secrets:          map[string]*secret{},
		SecurityGroups:   map[string]*securityGroup{},
		LogGroups:        map[string]*logGroup{},
		SubnetGroups:     map[string]*subnetGroup{},
		ParameterGroups:  map[string]*parameterGroup{},
		Instances:        map[string]*dbInstance{},
		Snapshots:        map[string]*dbSnapshot{},
		Backups:          map[string]*automatedBackup{},
	}
}

// regional returns the key of a resource whose name is unique in its region.
func regional(region, name string) string { return region + "/" + name }

func lastSegment(s string) string { return s[strings.LastIndexByte(s, '/')+1:] }
