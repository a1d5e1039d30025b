package cluster

// Kinds of faults of the cluster itself. Those of AWS are the stand-in's.
const (
	FaultAPIServer = "api-server"
	FaultNetwork   = "network"
)

// Fault is a fault that was caused and is in force, until it is ended or the local cloud stops.
type Fault struct {
	Kind string `json:"kind"`
	// Of is the zone, the service or the DB instance that the fault is of, or empty.
	Of string `json:"of,omitempty"`
}

func (f Fault) String() string {
	if f.Of == "" {
		return f.Kind
	}
	return f.Kind + " " + f.Of
}
