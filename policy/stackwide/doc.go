// Package stackwide holds the rules that compare resources with each other: what no single resource can show.
package stackwide
