// Package catalogue lists the rules of public catalogues that can apply to the resources of this project. It writes the
// table of their coverage: for each, a rule of the pack or the reason for having none.
package catalogue
