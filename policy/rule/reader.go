package rule

// Reader reads values that a verdict needs together. Read them all, then check [Reader.OK] once.
type Reader struct{ failed bool }

// OK reports whether every value was known and had the wanted type. Each unknown value has added an [Unknown] finding.
func (r *Reader) OK() bool { return !r.failed }

// Fail makes [Reader.OK] false.
func (r *Reader) Fail() { r.failed = true }

func (r *Reader) check(ok bool) { r.failed = r.failed || !ok }

// Known reads [Value.Known].
func (r *Reader) Known(v Value) bool {
	known := v.Known()
	r.check(known)
	return known
}

// Text reads [Value.Text].
func (r *Reader) Text(v Value, otherwise string) string {
	text, ok := v.Text(otherwise)
	r.check(ok)
	return text
}

// Number reads [Value.Number].
func (r *Reader) Number(v Value, otherwise float64) float64 {
	number, ok := v.Number(otherwise)
	r.check(ok)
	return number
}

// Bool reads [Value.Bool].
func (r *Reader) Bool(v Value, otherwise bool) bool {
	is, ok := v.Bool(otherwise)
	r.check(ok)
	return is
}

// Items reads [Value.Items].
func (r *Reader) Items(v Value) []Value {
	r.check(v.Known())
	return v.Items()
}

// Texts reads [Value.Texts].
func (r *Reader) Texts(v Value) []string {
	r.check(v.Known())
	return v.Texts()
}

// TextMap reads an object of strings, such as labels.
func (r *Reader) TextMap(v Value) map[string]string {
	r.check(v.Known())
	texts := map[string]string{}
	for _, member := range v.Members() {
		texts[member.Key] = r.Text(member.Value, "")
	}
	return texts
}
