package rds

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// Request codes of the PostgreSQL protocol. They take the place of the version in a startup packet.
// https://www.postgresql.org/docs/16/protocol-message-formats.html
const (
	codeCancel = 80877102
	codeSSL    = 80877103
	codeGSSENC = 80877104

	// PostgreSQL's limit (MAX_STARTUP_PACKET_LENGTH), in bytes.
	maxStartupPacket = 10000
	// A packet with the code only.
	minStartupPacket = 8
	cancelPacket     = 16

	// PostgreSQL truncates longer names (NAMEDATALEN - 1).
	maxName = 63
)

// startupKind is the kind of a connection's first packet.
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
	// raw is the packet as received, with its length. It is forwarded to PostgreSQL.
	raw  []byte
	user string
	// database is the requested database. As in PostgreSQL, its default is the user's name.
	database string
}

// protocolError is an error that is sent to the client before its connection ends.
type protocolError struct {
	code, message string
}

func (e *protocolError) Error() string { return e.message + " (SQLSTATE " + e.code + ")" }

func invalidStartup(format string, args ...any) error {
	return &protocolError{"08P01", fmt.Sprintf(format, args...)}
}

// readStartup reads one startup packet and not one byte more. The bytes after an SSLRequest belong to the TLS
// handshake. If they were read here, text that was sent without TLS could pass as sent under TLS.
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

// parseParameters reads pairs of C strings until the empty name that must end the packet. If a name occurs twice, the
// last value counts, as in PostgreSQL.
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

// cutName truncates a name as PostgreSQL does, so that the front decides about the same user as PostgreSQL.
func cutName(value []byte) string {
	return string(value[:min(len(value), maxName)])
}

// closedEarly reports whether a client closed the connection before it sent anything, as a port probe does.
func closedEarly(err error) bool { return errors.Is(err, io.EOF) }
