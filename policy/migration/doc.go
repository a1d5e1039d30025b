// Package migration holds the rules for Jobs that run to an end, migrations before all.
package migration
