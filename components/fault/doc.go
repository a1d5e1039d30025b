// Package fault collects what is wrong with settings, so that a person who has made five mistakes reads of five and not
// of the first.
//
// A fault names the path of the value, the value, and the reason together with what to do about it:
//
//	backupWindow: "03:00-04:30": overlaps the maintenance window Mon:04:00-Mon:05:00; move one of them
//
// A component collects faults under its own field names; whoever embeds its settings puts them under a prefix with
// [List.Within].
package fault
