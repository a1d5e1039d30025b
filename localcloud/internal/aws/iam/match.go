package iam

import "strings"

// element is one rune of a pattern, or one of the two wildcards.
type element struct {
	r    rune
	kind elementKind
}

type elementKind uint8

const (
	literal elementKind = iota
	anyOne              // ?
	anyRun              // *
)

// Match reports whether s matches a pattern with the wildcards * (any characters, or none) and ? (exactly one
// character).
func Match(pattern, s string) bool {
	return matchElements(elementsOf(pattern), []rune(s))
}

// MatchFold is Match without regard to case, as IAM compares action names.
func MatchFold(pattern, s string) bool {
	return Match(strings.ToLower(pattern), strings.ToLower(s))
}

func elementsOf(pattern string) []element {
	out := make([]element, 0, len(pattern))
	for _, r := range pattern {
		switch r {
		case '*':
			out = append(out, element{kind: anyRun})
		case '?':
			out = append(out, element{kind: anyOne})
		default:
			out = append(out, element{r: r})
		}
	}
	return out
}

func literalElements(s string) []element {
	out := make([]element, 0, len(s))
	for _, r := range s {
		out = append(out, element{r: r})
	}
	return out
}

// matchElements goes back only to the last * of the pattern, because an earlier * can never match more. In the worst
// case it takes time proportional to the product of both lengths.
func matchElements(pattern []element, s []rune) bool {
	p, i := 0, 0
	star, mark := -1, 0
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p].kind == anyRun:
			star, mark = p, i
			p++
		case p < len(pattern) && (pattern[p].kind == anyOne || pattern[p].kind == literal && pattern[p].r == s[i]):
			p++
			i++
		case star >= 0:
			mark++
			p, i = star+1, mark
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p].kind == anyRun {
		p++
	}
	return p == len(pattern)
}

const arnSegments = 6

// MatchARN reports whether an ARN matches a pattern, as the operator ArnLike matches: segment by segment, so a * never
// matches across a colon. The last segment, the resource, may contain colons. The pattern "*" matches every ARN.
func MatchARN(pattern, arn string) bool {
	return matchARNElements(elementsOf(pattern), arn)
}

// MatchResource reports whether an ARN matches a pattern, as the elements Resource and NotResource match. Wildcards
// match within one segment too, but a * that ends a segment can also match beyond the segment's colon. ("If the *
// wildcard is the last character of a resource ARN segment, it can expand to match beyond the colon boundaries", IAM
// user guide, "IAM JSON policy elements: Resource".)
func MatchResource(pattern, arn string) bool {
	return matchResourceElements(elementsOf(pattern), arn)
}

// matchResourceElements keeps the set of positions that the pattern can have reached. Going back to the last * would
// not be enough, because a * that stops at a colon may follow one that does not.
func matchResourceElements(pattern []element, arn string) bool {
	text := []rune(arn)
	reached := make([]bool, len(text)+1)
	reached[0] = true
	segment := 0
	for p, e := range pattern {
		last := p+1 == len(pattern) || pattern[p+1].kind == literal && pattern[p+1].r == ':'
		crosses := segment == arnSegments-1 || e.kind == anyRun && last
		next := make([]bool, len(text)+1)
		for i, r := range text {
			passes := crosses || r != ':'
			switch e.kind {
			case anyRun:
				next[i] = next[i] || reached[i]
				next[i+1] = next[i] && passes
			case anyOne:
				next[i+1] = reached[i] && passes
			case literal:
				next[i+1] = reached[i] && r == e.r
			}
		}
		if e.kind == anyRun {
			next[len(text)] = next[len(text)] || reached[len(text)]
		}
		if e.kind == literal && e.r == ':' && segment < arnSegments-1 {
			segment++
		}
		reached = next
	}
	return reached[len(text)]
}

func matchARNElements(pattern []element, arn string) bool {
	if len(pattern) == 1 && pattern[0].kind == anyRun {
		return true
	}
	segments := strings.SplitN(arn, ":", arnSegments)
	patterns := splitElements(pattern)
	if len(segments) != arnSegments || len(patterns) != arnSegments {
		return false
	}
	for i := range segments {
		if !matchElements(patterns[i], []rune(segments[i])) {
			return false
		}
	}
	return true
}

func splitElements(pattern []element) [][]element {
	var out [][]element
	start := 0
	for i, e := range pattern {
		if len(out) == arnSegments-1 {
			break
		}
		if e.kind == literal && e.r == ':' {
			out = append(out, pattern[start:i])
			start = i + 1
		}
	}
	return append(out, pattern[start:])
}
