// Package catalogue lists the rules of public catalogues that may apply to what this project makes, and writes the
// table of what covers them: a rule of the pack, or a reason why there is none.
package catalogue
