package config

import (
	"strings"

	"dbtier/components/databaserole"
	"dbtier/components/fault"
)

// DatabaseUser is who the pool is in the database.
type DatabaseUser string

const (
	// RoleUser is the application's own role: it reads and writes rows, and can do nothing else.
	RoleUser DatabaseUser = "role"
	// MasterUser is the instance's master user: the simplest set-up, in which the service may do everything, and in
	// which logins can fail for some seconds when RDS rotates its password.
	MasterUser DatabaseUser = "master"
)

// Role is the database user of the application.
type Role struct {
	databaserole.Settings
	// PoolUser is who the pool logs in as: role (default), or master, and then the other settings have no effect.
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

func (r *Role) validate() error {
	var faults fault.List
	fault.OneOf(&faults, "poolUser", r.PoolUser, RoleUser, MasterUser)
	if r.PoolUser == RoleUser {
		faults.Within("", r.Validate())
	}
	return faults.Err()
}

// DatabaseUser is the name of the user that the pool is in the database.
func (s *Stack) DatabaseUser() string {
	if s.Role.PoolUser == MasterUser {
		return s.Database.MasterUsername
	}
	return s.Role.User()
}
