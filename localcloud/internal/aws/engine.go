package aws

import (
	"context"
	"net/netip"
	"time"

	"dbtier/localcloud/internal/rds"
)

// RDSEngine runs the databases of DB instances. *rds.Engine implements it.
type RDSEngine interface {
	Create(ctx context.Context, spec rds.Spec, masterPassword string) (netip.Addr, error)
	Start(ctx context.Context, id string) error
	Stop(ctx context.Context, id string) error
	Reboot(ctx context.Context, id string) error
	Delete(ctx context.Context, id string) error
	Instances() []string
	Snapshot(ctx context.Context, id, name string) error
	CopySnapshot(ctx context.Context, from, to string) error
	DeleteSnapshot(name string) error
	SetStandby(ctx context.Context, id string, wanted bool) error
	Failover(ctx context.Context, id string) error
	Isolate(ctx context.Context, id string, primary, standby bool) error
	OnFailover(tell func(id string))
	SetArchive(ctx context.Context, id, archive string) error
	Flush(ctx context.Context, id string) (restorable time.Time, err error)
	TrimArchive(archive, snapshot string) error
	ArchiveSize(archive string) (bytes int64, err error)
	DeleteArchive(archive string) error
	KeepBackups(snapshots, archives []string) error
	SetMasterPassword(ctx context.Context, id, password string) error
	Apply(ctx context.Context, id string, maxConnections int, params map[string]string) error
	SetAccess(id string, allow func(src netip.Addr) error)
	SetIAMVerifier(verify func(ctx context.Context, host string, port int, user, token string) error)
}
