package rdsrules

import "fmt"

// StorageType is what RDS accepts of a storage type for PostgreSQL. Sources: "Amazon RDS DB instance storage", and
// CreateDBInstance (Iops, StorageThroughput), as of 2026-05.
type StorageType struct {
	Name string
	// LeastGiB and MostGiB are the smallest and the largest size.
	LeastGiB, MostGiB int
	// LeastIOPS and MostIOPS bound what can be provisioned; 0 if nothing can be.
	LeastIOPS, MostIOPS int
	// ProvisionedFrom is the size in GiB from which operations and throughput can be provisioned. Below it they are
	// those of the baseline.
	ProvisionedFrom int
	// MostPerGiB is the largest number of operations per GiB. The smallest is one half.
	MostPerGiB int
	// LeastThroughput and MostThroughput are in MiB/s; 0 if throughput cannot be provisioned.
	LeastThroughput, MostThroughput int
	// Required is true if operations must be provisioned.
	Required bool
}

var storageTypes = []StorageType{
	{Name: "gp2", LeastGiB: 20, MostGiB: 65536},
	{
		Name: "gp3", LeastGiB: 20, MostGiB: 65536, LeastIOPS: 12000, MostIOPS: 64000, ProvisionedFrom: 400,
		MostPerGiB: 500, LeastThroughput: 500, MostThroughput: 4000,
	},
	{
		Name: "io1", LeastGiB: 100, MostGiB: 65536, LeastIOPS: 1000, MostIOPS: 256000, MostPerGiB: 50, Required: true,
	},
	{
		Name: "io2", LeastGiB: 100, MostGiB: 65536, LeastIOPS: 1000, MostIOPS: 256000, MostPerGiB: 1000, Required: true,
	},
}

// StorageTypes returns the names of the storage types.
func StorageTypes() []string {
	names := make([]string, len(storageTypes))
	for i := range storageTypes {
		names[i] = storageTypes[i].Name
	}
	return names
}

// Fault is what is wrong with one setting of an instance. Low and High are set if the value is outside of bounds.
type Fault struct {
	// Setting is the name of the setting in the config and of the provider's property, for example allocatedStorage.
	Setting   string
	Value     int
	Reason    string
	Low, High int
	Unit      string
}

// Storage is the storage of an instance. MaxGiB is the size up to which RDS may grow it; 0 turns growth off. IOPS and
// Throughput are 0 if they are not provisioned.
type Storage struct {
	Type                          string
	GiB, MaxGiB, IOPS, Throughput int
}

// Check returns every fault. known is false for a storage type that RDS does not have.
func (s Storage) Check() (faults []Fault, known bool) {
	var t StorageType
	for _, one := range storageTypes {
		if one.Name == s.Type {
			t, known = one, true
		}
	}
	if !known {
		return nil, false
	}
	add := func(setting string, value int, format string, args ...any) {
		faults = append(faults, Fault{Setting: setting, Value: value, Reason: fmt.Sprintf(format, args...)})
	}
	between := func(setting string, value, low, high int, unit string) bool {
		if low <= value && value <= high {
			return true
		}
		reason := fmt.Sprintf("want %d to %d %s", low, high, unit)
		faults = append(faults, Fault{setting, value, reason, low, high, unit})
		return false
	}
	sized := between("allocatedStorage", s.GiB, t.LeastGiB, t.MostGiB, "GiB with storageType "+t.Name)
	// "The maximum storage threshold must be at least 10% more than the allocated storage."
	if s.MaxGiB != 0 && (10*s.MaxGiB < 11*s.GiB || s.MaxGiB > t.MostGiB) {
		add("maxAllocatedStorage", s.MaxGiB,
			"want 0 to turn growth off, or at least a tenth more than allocatedStorage (%d GiB), up to %d", s.GiB,
			t.MostGiB)
	}
	provisioned := false
	switch {
	case t.MostIOPS == 0:
		if s.IOPS != 0 {
			add("iops", s.IOPS, "%s has no provisioned iops; leave it out or use gp3", t.Name)
		}
	case s.IOPS == 0 && !t.Required:
	case s.GiB < t.ProvisionedFrom:
		add("iops", s.IOPS, "%s accepts it only from %d GiB of allocatedStorage; leave it out", t.Name,
			t.ProvisionedFrom)
	default:
		provisioned = between("iops", s.IOPS, t.LeastIOPS, t.MostIOPS, "with storageType "+t.Name)
	}
	if provisioned && sized && (2*s.IOPS < s.GiB || s.IOPS > t.MostPerGiB*s.GiB) {
		add("iops", s.IOPS, "RDS wants 0.5 to %d for each GiB of allocatedStorage with %s; with %d GiB want %d to %d",
			t.MostPerGiB, t.Name, s.GiB, max(t.LeastIOPS, (s.GiB+1)/2), min(t.MostIOPS, t.MostPerGiB*s.GiB))
	}
	switch {
	case s.Throughput == 0:
	case t.MostThroughput == 0 || s.IOPS == 0:
		add("storageThroughput", s.Throughput, "needs storageType gp3 and iops; leave it out")
	case between("storageThroughput", s.Throughput, t.LeastThroughput, t.MostThroughput, "MiB/s") && provisioned &&
		4*s.Throughput > s.IOPS:
		// "The ratio of throughput to IOPS must be at most 0.25."
		add("storageThroughput", s.Throughput, "is more than a quarter of iops (%d), which gp3 cannot have; want at "+
			"most %d, "+
			"or iops of at least %d", s.IOPS, s.IOPS/4, 4*s.Throughput)
	}
	return faults, true
}
