package config

import (
	"strings"

	"dbtier/components/databaserole"
	"dbtier/components/fault"
	"dbtier/components/pgbouncer"
)

// DatabaseUser is the kind of database user that the pool logs in as.
type DatabaseUser string

const (
	// RoleUser is the application's own role, which can only read and write rows.
	RoleUser DatabaseUser = "role"
	// MasterUser is the instance's master user. The service then has every right, and its logins can fail for some
	// seconds when RDS rotates the password.
	MasterUser DatabaseUser = "master"
)

// Role is the database user of the application.
type Role struct {
	databaserole.Settings
	// PoolUser is the database user that the pool logs in as: role (default) or master. With master the other settings
	// of this section have no effect.
	PoolUser DatabaseUser `json:"poolUser"`
}

func defaultRole() Role {
	return Role{Settings: databaserole.Defaults(), PoolUser: RoleUser}
}

// settle fills what follows from other sections.
func (r *Role) settle(database, poolImage string) {
	if r.Name == "" {
		r.Name = strings.ToLower(database) + "_app"
	}
	if r.Image == "" {
		r.Image = poolImage
	}
}

func (s *Stack) validateRole() error {
	var faults fault.List
	role := s.Role
	fault.OneOf(&faults, "poolUser", role.PoolUser, RoleUser, MasterUser)
	if role.PoolUser != RoleUser {
		return faults.Err()
	}
	if role.Image == "" {
		// Where PgBouncer runs, its image is the default, and the fault is that of pool.image.
		faults.Check(s.Pool.Kind == PgBouncer, "image", nil, pgbouncer.MissingImage)
		role.Image = "checked"
	}
	faults.Within("", role.Validate())
	return faults.Err()
}

// DatabaseUser is the name of the database user that the pool logs in as.
func (s *Stack) DatabaseUser() string {
	if s.Role.PoolUser == MasterUser {
		return s.Database.MasterUsername
	}
	return s.Role.User()
}
