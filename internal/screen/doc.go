// Package screen writes to a terminal: lines that fit its width, signs in colour, and one line that says what is being
// waited for.
package screen
