package rdsrules

import (
	_ "embed"
	"strconv"
	"strings"
)

//go:embed classes.tsv
var classesTSV string

const gib = 1 << 30

// memoryShare is the part of a class's memory that RDS counts as DBInstanceClassMemory. The operating system and RDS's
// processes use the rest. AWS publishes no value; instances show about 8 % less than the nominal memory.
const memoryShare = 0.92

var classMemory = func() map[string]int64 {
	out := map[string]int64{}
	for line := range strings.Lines(classesTSV) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, memory, _ := strings.Cut(line, "\t")
		n, err := strconv.ParseFloat(memory, 64)
		if err != nil {
			panic("classes.tsv: " + line)
		}
		out[name] = int64(n * gib)
	}
	return out
}()

// ClassMemory returns the nominal memory of an instance class in bytes. ok is false if the table lacks the class.
func ClassMemory(class string) (int64, bool) {
	m, ok := classMemory[class]
	return m, ok
}

// DBInstanceClassMemory returns the value of the formula variable for a class, in bytes.
func DBInstanceClassMemory(class string) (int64, bool) {
	m, ok := classMemory[class]
	return int64(float64(m) * memoryShare), ok
}
