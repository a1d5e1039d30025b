package rds

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// Request codes of the PostgreSQL protocol, in the place where a startup packet carries its version.
// https://www.postgresql.org/docs/16/protocol-message-formats.html
const (
	codeCancel = 80877102
	codeSSL    = 80877103
	codeGSSENC = 80877104

	// PostgreSQL's own bound (MAX_STARTUP_PACKET_LENGTH).
	maxStartupPacket = 10000
	// The code, and nothing else.
	minStartupPacket = 8
	cancelPacket     = 16

	// Longer names are cut by PostgreSQL (NAMEDATALEN - 1).
	maxName = 63
)

// startupKind is what the first packet of a connection asks for.
type startupKind int

const (
	startSession startupKind = iota
	startCancel
	startTLS
	startGSS
)

// startup is the first packet of a connection.
type startup struct {
	kind startupKind
	// raw is the packet as received, with its length, for PostgreSQL.
	raw  []byte
	user string
	// database is the user's name when the client gave none, as PostgreSQL takes it.
	database string
}

// protocolError is what a client is told before its connection ends.
type protocolError struct {
	code, message string
}

func (e *protocolError) Error() string { return e.message + " (SQLSTATE " + e.code + ")" }

func invalidStartup(format string, args ...any) error {
	return &protocolError{"08P01", fmt.Sprintf(format, args...)}
}

// readStartup reads one startup packet and not a byte more: what follows an SSLRequest must reach the TLS handshake, so
// that nothing sent in plain text can pass for something said under TLS.
func readStartup(r io.Reader) (startup, error) {
	var header [4]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return startup{}, err
	}
	length := binary.BigEndian.Uint32(header[:])
	if length < minStartupPacket || length > maxStartupPacket {
		return startup{}, invalidStartup("invalid length of startup packet")
	}
	raw := make([]byte, length)
	copy(raw, header[:])
	if _, err := io.ReadFull(r, raw[4:]); err != nil {
		return startup{}, fmt.Errorf("incomplete startup packet: %w", err)
	}
	return parseStartup(raw)
}

func parseStartup(raw []byte) (startup, error) {
	s := startup{raw: raw}
	switch code := binary.BigEndian.Uint32(raw[4:]); {
	case code == codeSSL && len(raw) == minStartupPacket:
		s.kind = startTLS
	case code == codeGSSENC && len(raw) == minStartupPacket:
		s.kind = startGSS
	case code == codeCancel && len(raw) == cancelPacket:
		s.kind = startCancel
	case code == codeSSL, code == codeGSSENC, code == codeCancel:
		return startup{}, invalidStartup("invalid length of startup packet")
	case code>>16 != 3:
		return startup{}, &protocolError{
			"0A000",
			fmt.Sprintf("unsupported frontend protocol %d.%d: server supports 3.0 to 3.0", code>>16, code&0xffff),
		}
	default:
		if err := s.parseParameters(raw[minStartupPacket:]); err != nil {
			return startup{}, err
		}
	}
	return s, nil
}

// parseParameters reads pairs of C strings up to the empty name that must end the packet. Of a name that comes twice
// the last value counts, as in PostgreSQL.
func (s *startup) parseParameters(rest []byte) error {
	for {
		name, after, ok := bytes.Cut(rest, []byte{0})
		if !ok {
			return invalidStartup("invalid startup packet layout: expected terminator as last byte")
		}
		if len(name) == 0 {
			if len(after) > 0 {
				return invalidStartup("invalid startup packet layout: expected terminator as last byte")
			}
			break
		}
		value, next, ok := bytes.Cut(after, []byte{0})
		if !ok {
			return invalidStartup("invalid startup packet layout: expected terminator as last byte")
		}
		switch string(name) {
		case "user":
			s.user = cutName(value)
		case "database":
			s.database = cutName(value)
		}
		rest = next
	}
	if s.user == "" {
		return &protocolError{"28000", "no PostgreSQL user name specified in startup packet"}
	}
	if s.database == "" {
		s.database = s.user
	}
	if !utf8.ValidString(s.user) || !utf8.ValidString(s.database) {
		return &protocolError{"28000", "user and database names must be UTF-8"}
	}
	return nil
}

// cutName shortens a name as PostgreSQL does, so that the front decides about the same user that PostgreSQL lets in.
func cutName(value []byte) string {
	return string(value[:min(len(value), maxName)])
}

// closedEarly says whether a client went away before it said anything, as a port probe does.
func closedEarly(err error) bool { return errors.Is(err, io.EOF) }
