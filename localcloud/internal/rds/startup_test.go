package rds

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// packet returns a startup packet with a code and the rest of its content.
func packet(code uint32, rest string) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(8+len(rest)))
	b = binary.BigEndian.AppendUint32(b, code)
	return append(b, rest...)
}

const version30 = 3 << 16

// The engine asks a starting PostgreSQL every ten milliseconds, and each refusal is in the log.
func TestTheReasonOfAFailedStartIsNotHiddenByTheEnginesOwnLooks(t *testing.T) {
	const reason = "2026-12-01 10:45:25.480 UTC:@:[1488]:FATAL:  could not write to file: No space left on device\n"
	const end = "2026-12-01 10:45:27.540 UTC:@:[1485]:LOG:  database system is shut down\n"
	looks := strings.Repeat(
		"2026-12-01 10:45:25.484 UTC:rdsadmin@postgres:[1503]:FATAL:  the database system is not accepting connections\n"+
			"2026-12-01 10:45:25.484 UTC:rdsadmin@postgres:[1503]:DETAIL:  Hot standby mode is disabled.\n"+
			"2026-12-01 10:45:25.515 UTC:rdsadmin@postgres:[1509]:FATAL:  the database system is in recovery mode\n", 100)
	file := filepath.Join(t.TempDir(), "log")
	require.NoError(t, os.WriteFile(file, []byte(reason+looks+end), 0o600))
	assert.Equal(t, strings.TrimSpace(reason+end), readTail(file))
	other := "2026-12-01 10:45:25.484 UTC:rdsadmin@postgres:[1503]:FATAL:  password authentication failed\n"
	require.NoError(t, os.WriteFile(file, []byte(other), 0o600))
	assert.Equal(t, strings.TrimSpace(other), readTail(file))
}

func TestStartupPacketsAreUnderstood(t *testing.T) {
	long63 := strings.Repeat("u", 63)
	for name, c := range map[string]struct {
		packet         []byte
		kind           startupKind
		user, database string
	}{
		"session":                   {packet(version30, "user\x00u\x00database\x00d\x00\x00"), startSession, "u", "d"},
		"database defaults to user": {packet(version30, "user\x00u\x00\x00"), startSession, "u", "u"},
		"last value counts": {
			packet(version30, "user\x00rdsadmin\x00user\x00u\x00\x00"), startSession, "u",
			"u",
		},
		"newer minor version": {packet(version30+2, "user\x00u\x00_pq_.x\x001\x00\x00"), startSession, "u", "u"},
		"name is cut like in server": {
			packet(version30, "user\x00"+strings.Repeat("u", 70)+"\x00\x00"), startSession,
			long63, long63,
		},
		"TLS":    {packet(codeSSL, ""), startTLS, "", ""},
		"GSS":    {packet(codeGSSENC, ""), startGSS, "", ""},
		"cancel": {packet(codeCancel, "12345678"), startCancel, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			after := strings.NewReader("what follows")
			got, err := readStartup(io.MultiReader(bytes.NewReader(c.packet), after))
			require.NoError(t, err)
			assert.Equal(t, startup{kind: c.kind, raw: c.packet, user: c.user, database: c.database}, got)
			assert.Equal(t, len("what follows"), after.Len(), "nothing behind the packet is read")
		})
	}
}

func TestStartupPacketsThatBreakTheProtocolAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		packet []byte
		code   string
		want   string
	}{
		"too short":              {[]byte{0, 0, 0, 7, 0, 3, 0}, "08P01", "length"},
		"too long":               {[]byte{0, 0, 0x27, 0x11}, "08P01", "length"},
		"huge":                   {[]byte{0xff, 0xff, 0xff, 0xff}, "08P01", "length"},
		"no user":                {packet(version30, "database\x00d\x00\x00"), "28000", "no PostgreSQL user name"},
		"empty":                  {packet(version30, ""), "08P01", "layout"},
		"value without end":      {packet(version30, "user\x00u"), "08P01", "layout"},
		"bytes behind the end":   {packet(version30, "user\x00u\x00\x00more"), "08P01", "layout"},
		"protocol 2":             {packet(2<<16, "user"), "0A000", "unsupported frontend protocol 2.0"},
		"protocol 4":             {packet(4<<16, "user\x00u\x00\x00"), "0A000", "unsupported frontend protocol 4.0"},
		"TLS with more":          {packet(codeSSL, "user"), "08P01", "length"},
		"cancel without key":     {packet(codeCancel, ""), "08P01", "length"},
		"user that is not UTF-8": {packet(version30, "user\x00\xff\x00\x00"), "28000", "UTF-8"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := readStartup(bytes.NewReader(c.packet))
			var told *protocolError
			require.ErrorAs(t, err, &told)
			assert.Equal(t, c.code, told.code)
			assert.Contains(t, told.message, c.want)
		})
	}
}

func TestAClientThatDisconnectsIsNotAProtocolError(t *testing.T) {
	for _, sent := range []string{"", "\x00", "\x00\x00\x00\x10\x00\x03"} {
		_, err := readStartup(strings.NewReader(sent))
		var told *protocolError
		require.Error(t, err)
		assert.NotErrorAs(t, err, &told)
	}
}

// Whatever arrives: the parser does not panic and reads no more than the announced length. An accepted packet is one
// that PostgreSQL's own client library could have sent with the same meaning.
func FuzzReadStartup(f *testing.F) {
	f.Add(packet(version30, "user\x00u\x00database\x00d\x00\x00"))
	f.Add(packet(codeSSL, ""))
	f.Add(packet(codeCancel, "12345678"))
	f.Add([]byte{0, 0, 0, 4})
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := readStartup(bytes.NewReader(data))
		if err != nil {
			return
		}
		if len(got.raw) > len(data) || !bytes.Equal(got.raw, data[:len(got.raw)]) {
			t.Fatalf("raw is not the beginning of what came in")
		}
		if got.kind != startSession {
			return
		}
		if got.user == "" || got.database == "" || len(got.user) > maxName {
			t.Fatalf("user %q, database %q", got.user, got.database)
		}
		var reference pgproto3.StartupMessage
		if version := binary.BigEndian.Uint32(got.raw[4:]); version != pgproto3.ProtocolVersion30 &&
			version != pgproto3.ProtocolVersion32 {
			return
		}
		if err := reference.Decode(got.raw[4:]); err != nil {
			t.Fatalf("accepted what pgproto3 refuses: %v", err)
		}
		if want := cutName([]byte(reference.Parameters["user"])); got.user != want {
			t.Fatalf("user %q, pgproto3 says %q", got.user, want)
		}
	})
}

func TestAnErrorHasItsCode(t *testing.T) {
	err := errors.Join(&protocolError{"28000", "no"})
	assert.EqualError(t, err, "no (SQLSTATE 28000)")
}
