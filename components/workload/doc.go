// Package workload is what every pod of the tier has in common: the restricted Pod Security standard, names of
// resources, and labels. Each component builds its pods on it, so that none of them is the one that forgot.
package workload
