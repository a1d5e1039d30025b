package credential

import (
	"slices"
	"strings"
)

// Mark is shown in the place of a credential.
const Mark = "[secret]"

// Mask returns the value of a setting with [Mark] in the place of each credential: postgres://app:[secret]@db/shop. The
// name may be empty. Mask hides everything that [Reason] finds, and more, because a text that is hidden by mistake does
// less harm than a password that is shown.
func Mask(name, value string) string { return replace(value, inSetting(name, value)) }

// Text is [Mask] for a text that a person reads, such as an error. It does not judge what is prose in such a text, such
// as "token: expired".
func Text(text string) string { return replace(text, inText(text, true)) }

// In returns the credentials that [Mask] hides in a setting.
func In(name, value string) []string {
	var found []string
	for _, at := range inSetting(name, value) {
		found = append(found, value[at.begin:at.end])
	}
	return found
}

// Tree copies a setting of maps and lists, as encoding/json and YAML decode it, with its credentials masked.
func Tree(name string, value any) any { return walk(name, value, Mask) }

// Walk copies a value of maps and lists, and puts what change returns in the place of each text. The name of a text is
// its key; for a pair of name and value, such as a variable of a container, it is the name of the pair. Keys are texts
// without a name.
func Walk(value any, change func(name, text string) string) any { return walk("", value, change) }

func walk(name string, value any, change func(name, text string) string) any {
	switch value := value.(type) {
	case string:
		return change(name, value)
	case []any:
		out := make([]any, len(value))
		for i, inner := range value {
			out[i] = walk(name, inner, change)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(value))
		for key, inner := range value {
			out[change("", key)] = walk(nameIn(value, name, key), inner, change)
		}
		return out
	}
	return value
}

// pairs are the keys of a setting that is written as an object.
var pairs = [][2]string{{"name", "value"}, {"key", "value"}, {"Name", "Value"}, {"Key", "Value"}}

// nameIn returns the name of a member of an object that itself has a name.
func nameIn(object map[string]any, name, key string) string {
	for _, pair := range pairs {
		if called, ok := object[pair[0]].(string); ok && key == pair[1] {
			return called
		}
	}
	switch {
	case key == "value", key == "default":
		return name
	case key == "secretKey" && (object["remoteRef"] != nil || object["sourceRef"] != nil):
		// In an ExternalSecret it is the key under which a value is stored.
		return ""
	default:
		return key
	}
}

// replace puts [Mark] into the place of each span. Spans that overlap or touch have one.
func replace(text string, found []span) string {
	if len(found) == 0 {
		return text
	}
	slices.SortFunc(found, func(a, b span) int { return a.begin - b.begin })
	var out strings.Builder
	done, marked := 0, false
	for _, at := range found {
		if at.begin > done || !marked {
			out.WriteString(text[done:at.begin] + Mark)
		}
		done, marked = max(done, at.end), true
	}
	return out.String() + text[done:]
}

// inSetting finds the credentials in the value of a setting.
func inSetting(name, value string) []span {
	found := append(find(name, value), inText(value, false)...)
	whole := strings.TrimSpace(value)
	if strings.Contains(whole, "\n") {
		if nameOf(name) == credential && !template(whole) {
			found = append(found, span{0, len(value), ""})
		}
		return found
	}
	found = append(found, inLines(value)...)
	// After the name of an environment variable, also several words are a value and not prose.
	if at := assignment().FindStringSubmatchIndex(value); at != nil {
		called, text := value[at[2]:at[3]], value[at[4]:at[5]]
		if called == strings.ToUpper(called) && byName(called, text) != "" {
			found = append(found, span{at[4], at[5], ""})
		}
	}
	return found
}

var (
	// wholeLogin is a URL whose password can contain any character but a blank. It ends at the last @.
	wholeLogin = expression(`[a-zA-Z][a-zA-Z0-9+.-]*://[^\s/:@"']*:(\S+)@`)
	// quotedLogin is the same in a text with quotes around it.
	quotedLogin = expression(`[a-zA-Z][a-zA-Z0-9+.-]*://[^\s/:@"']*:([^\s"'/][^\s"']*)@`)
	// bareLogin is a login without the scheme of a URL.
	bareLogin = expression(`(?:^|[\s"'=,(\[])([a-zA-Z][\w.+-]*):([^\s/:"'{}$]+)@([a-zA-Z0-9\[])`)
	// privateKey is a private key with its lines, which can be those of an escaped text.
	privateKey = expression(`(-{5}BEGIN [A-Z ]*PRIVATE KEY-{5}(?s:.*?)(?:-{5}END [A-Z ]*PRIVATE KEY-{5}|\z))`)
	// digest is what follows the @ of an image.
	digest = expression(`^sha\d+:`)
)

// addresses are schemes of addresses with an @ that is not that of a login.
var addresses = []string{"mailto", "acct", "sip", "xmpp", "arn", "urn", "npm", "pkg"}

// inText finds credentials by their form and in assignments. A quoted text can contain values in quotes.
func inText(text string, quoted bool) []span {
	found := byForm(text)
	login := wholeLogin
	if quoted {
		login = quotedLogin
	}
	if strings.Contains(text, "@") {
		for _, at := range login().FindAllStringSubmatchIndex(text, -1) {
			if literal(text[at[0]:at[1]]) && !template(text[at[2]:at[3]]) {
				found = append(found, span{at[2], at[3], inURL})
			}
		}
		for _, at := range bareLogin().FindAllStringSubmatchIndex(text, -1) {
			if !slices.Contains(addresses, text[at[2]:at[3]]) && !digest().MatchString(text[at[6]:]) &&
				text[at[4]:at[5]] != Mark {
				found = append(found, span{at[4], at[5], inURL})
			}
		}
	}
	if strings.Contains(text, "PRIVATE KEY") {
		for _, at := range privateKey().FindAllStringIndex(text, -1) {
			found = append(found, span{at[0], at[1], ""})
		}
	}
	return append(found, assignments(text, quoted)...)
}

var (
	// setting is the beginning of an assignment: a name, a sign, and an opening quote. Quotes can be escaped.
	setting = expression(`([A-Za-z_][\w.-]*)(?:\\*["'])?([ \t]*=|:)[ \t]*(\\*["'])?`)
	// another is an assignment at the beginning of a text.
	another = expression(`^[A-Za-z_][\w.-]*=`)
	// inWord is a text that begins in a word.
	inWord = expression(`^[\pL\pN]`)
	// next is the beginning of another assignment behind a separator, as in a query.
	next = expression(`[&;,][ \t]*[A-Za-z_][\w.-]*=`)
)

// assignments finds values with the name of a credential: password=…, "password": "…". A colon needs a value in quotes,
// because prose has colons too.
func assignments(text string, quoted bool) (found []span) {
	for done := 0; ; {
		at := setting().FindStringSubmatchIndex(text[done:])
		if at == nil {
			return found
		}
		begin, end := done+at[2], done+at[1]
		name, colon, quote := text[begin:done+at[3]], text[done+at[5]-1] == ':', ""
		switch {
		case at[6] >= 0:
			quote = text[done+at[6] : end]
		case begin > 0 && strings.ContainsRune(`"'`, rune(text[begin-1])):
			// The quotes are around the whole assignment.
			quote = text[begin-1 : begin]
		}
		done = end
		if colon && at[6] < 0 {
			continue
		}
		if text[end-1] == ' ' && another().MatchString(text[end:]) {
			// The value is empty, and another assignment follows.
			continue
		}
		end += valueEnd(text[end:], quote, quoted)
		if quoted && colon && isReference(name) {
			continue
		}
		if value := text[done:end]; !strings.HasPrefix(value, Mark) && byName(name, value) != "" {
			found = append(found, span{done, end, ""})
			done = end
		}
	}
}

// isReference reports whether a name in prose is that of an object: secret, pool.clientTlsSecret. CLIENT_SECRET is not.
func isReference(name string) bool {
	last := name[strings.LastIndexByte(name, '.')+1:]
	return strings.HasSuffix(last, "ecret") && last != strings.ToUpper(last)
}

// valueEnd returns where the value of an assignment ends.
func valueEnd(text, quote string, quoted bool) int {
	if quote != "" {
		// A quote in front of a letter or a digit is part of the value.
		if end := closing(text, quote); end >= 0 && !inWord().MatchString(text[end+len(quote):]) {
			return end
		}
	}
	end := len(text)
	if at := strings.IndexAny(text, " \t\r\n"); at >= 0 {
		end = at
	}
	if at := closing(text[:end], `"`); quoted && at >= 0 {
		end = at
	}
	if at := next().FindStringIndex(text[:end]); at != nil {
		end = at[0]
	}
	return end
}

// closing returns the place of the quote that ends a text, or -1.
func closing(text, quote string) int {
	for at := 0; at < len(text); at++ {
		switch {
		case strings.HasPrefix(text[at:], quote):
			return at
		case text[at] == '\\':
			at++
		}
	}
	return -1
}
