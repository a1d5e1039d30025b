// Package report has the report of a drill: what the load has measured while a fault was caused and healed, the figures
// that follow from it, and how people read it: [Table] in a terminal, [HTML] as one page that needs no network.
package report
