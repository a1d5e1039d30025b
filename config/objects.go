package config

import (
	"fmt"
	"strings"

	"dbtier/components/contract"
	"dbtier/components/fault"
	"dbtier/components/pgbouncer"
)

// object is an object of Kubernetes in the service's namespace whose name follows from a setting. Two objects of a kind
// cannot have one name. An ExternalSecret counts as the Secret that it makes.
type object struct{ kind, name, setting string }

// objects are the objects of the service's namespace, apart from those whose names end in a hash of their content.
func (s *Stack) objects() []object {
	var all []object
	add := func(setting, base, kinds string, suffixes ...string) {
		for kind := range strings.FieldsSeq(kinds) {
			for _, suffix := range suffixes {
				name := base
				if suffix != "" {
					name = contract.Object(base, strings.Split(suffix, "-")...)
				}
				all = append(all, object{kind, name, setting})
			}
		}
	}
	add("service.name", s.SecretsServiceAccount(), "ServiceAccount", "")
	service := s.Consumer.Name
	add("consumer.name", service, "Deployment Service ServiceAccount PodDisruptionBudget HorizontalPodAutoscaler", "")
	add("consumer.name", service, "ConfigMap", "rds-ca")
	add("consumer.name", service, "Secret", "db", "db-direct")
	if s.Migration.Enabled {
		add("consumer.name", service, "NetworkPolicy", "migration")
	}
	if s.Reconnects() {
		add("consumer.name", service, "ServiceAccount NetworkPolicy", "reconnect")
	}
	if s.Drills.Enabled {
		add("consumer.name", service, "ConfigMap", "drill")
	}
	if s.Role.PoolUser == RoleUser {
		add("pool.name", s.Pool.Name, "ServiceAccount NetworkPolicy", "bootstrap")
		add("pool.name", s.Pool.Name, "Password", "database")
		for _, generation := range []int{s.Role.Generation - 1, s.Role.Generation} {
			add("pool.name", s.Pool.Name, "Secret", fmt.Sprint("database-", generation),
				fmt.Sprint("kept-database-", generation))
		}
	}
	if s.Pool.Kind == PgBouncer {
		add("consumer.name", service, "Secret", "db-login")
		add("pool.name", s.Pool.Name, "Deployment Service ServiceAccount PodDisruptionBudget NetworkPolicy", "")
		add("pool.name", s.Pool.Name, "Service", "pods")
		add("pool.name", s.Pool.Name, "ServiceAccount Role RoleBinding", "login-reader")
		add("pool.name", s.Pool.Name, "Secret", "config", "console", "login", "kept-login")
		add("pool.name", s.Pool.Name, "SecretStore Password", "login")
	}
	if s.Service.ExistingNamespace {
		add("consumer.name", service, "NetworkPolicy", "database-for-holders-only", "database-for-holders-only-others")
	} else {
		all = append(all, object{"NetworkPolicy", "database-for-holders-only", "service.name"})
	}
	for i := range s.Secrets.Further {
		add(fmt.Sprintf("secrets.further[%d].name", i), s.Secrets.Further[i].Name, "Secret", "")
	}
	if s.Pool.Kind != PgBouncer {
		return all
	}
	for i := range s.Pool.Logins {
		at, login := fmt.Sprintf("pool.logins[%d]", i), &s.Pool.Logins[i]
		label := strings.Trim(strings.ReplaceAll(login.Name, "_", "-"), "-")
		add(at+".name", contract.Object(s.Pool.Name, "login"), "Secret Password SecretStore", label)
		add(at+".name", contract.Object(s.Pool.Name, "kept", "login"), "Secret", label)
		if login.Secret != "" {
			add(at+".secret", login.Secret, "Secret", "", "login")
		} else {
			add(at+".name", label, "Secret", "db", "db-login")
		}
	}
	return all
}

// checkObjects adds a fault for two settings that give objects of a kind the same name, and for a Secret that the tier
// shall read and makes itself.
func (s *Stack) checkObjects(faults *fault.List) {
	first, told := map[object]string{}, map[string]bool{}
	for _, o := range s.objects() {
		key := object{kind: o.kind, name: o.name}
		other, taken := first[key]
		if !taken {
			first[key] = o.setting
			continue
		}
		if pair := other + " " + o.setting; other != o.setting && !told[pair] {
			told[pair] = true
			faults.Add(o.setting, s.valueOf(o.setting), "gives the %s %s, which %s (%s) gives, too; want another "+
				"name", o.kind,
				o.name, other, s.valueOf(other))
		}
	}
	faults.Check(s.Pool.Kind != PgBouncer || s.Database.DatabaseName != pgbouncer.ConsoleDatabase,
		"database.databaseName",
		s.Database.DatabaseName, "is the name of PgBouncer's console, which the pool cannot serve; want another name")
	reads := func(path, name string) {
		if setting, made := first[object{kind: "Secret", name: name}]; made && name != "" {
			faults.Add(path, name, "is a Secret that the tier makes itself (from %s); name the one that you "+
				"made", setting)
		}
	}
	if s.Pool.Kind == PgBouncer {
		reads("pool.clientTlsSecret", s.Pool.ClientTLSSecret)
		for i := range s.Pool.Logins {
			reads(fmt.Sprintf("pool.logins[%d].credentialSecret", i), s.Pool.Logins[i].CredentialSecret)
		}
	}
}

// valueOf returns the value of a setting that names objects.
func (s *Stack) valueOf(setting string) string {
	var i int
	switch {
	case setting == "service.name":
		return s.Service.Name
	case setting == "consumer.name":
		return s.Consumer.Name
	case setting == "pool.name":
		return s.Pool.Name
	case scan(setting, "secrets.further[%d].name", &i):
		return s.Secrets.Further[i].Name
	case scan(setting, "pool.logins[%d].name", &i):
		return s.Pool.Logins[i].Name
	case scan(setting, "pool.logins[%d].secret", &i):
		return s.Pool.Logins[i].Secret
	}
	return ""
}

func scan(text, format string, i *int) bool {
	_, err := fmt.Sscanf(text, format, i)
	return err == nil && fmt.Sprintf(format, *i) == text
}
