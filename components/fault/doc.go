// Package fault collects the errors in settings, so that a user sees all of them at once and not only the first.
//
// A fault names the path of the value, the value, the reason and the fix:
//
//	backupWindow: "03:00-04:30": overlaps the maintenance window Mon:04:00-Mon:05:00; move one of them
//
// A component collects faults under the names of its own fields. A package that embeds the component's settings adds
// them under a prefix with [List.Within].
package fault
