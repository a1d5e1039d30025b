// Package stackfile finds and changes settings in the text of a stack's file, Pulumi.<stack>.yaml. Comments, order and
// spaces of the rest stay.
package stackfile
