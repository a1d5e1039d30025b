package config

// Drift says what `dbtier drift` may do with what it finds.
type Drift struct {
	// Heal lets `dbtier drift --heal` put back what was changed by hand, with an update that is not asked for. It never
	// deletes or replaces a resource. Default false.
	Heal bool `json:"heal"`
}
