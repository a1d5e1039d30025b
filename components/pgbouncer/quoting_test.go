package pgbouncer_test

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/components/componenttest"
)

// poolTemplates returns the templates of the pool's files.
func poolTemplates(t *testing.T) map[string]string {
	t.Helper()
	return templates(t, componenttest.Run(t, create(arguments())), "pool-config")
}

var errQuoting = errors.New("not quoted")

// readUserlist parses userlist.txt by PgBouncer's rules: a line is two words in double quotes. Inside, a doubled quote is
// one quote.
func readUserlist(text string) ([][2]string, error) {
	var users [][2]string
	for text != "" {
		var user [2]string
		for i, end := range []string{" ", "\n"} {
			word, rest, err := quotedWord(text, '"')
			if err != nil || !strings.HasPrefix(rest, end) {
				return nil, errQuoting
			}
			user[i], text = word, rest[1:]
		}
		users = append(users, user)
	}
	return users, nil
}

// readConnection parses a database's line: key='value' pairs. Inside, a doubled quote is one quote.
func readConnection(text string) (map[string]string, error) {
	out := map[string]string{}
	for text != "" {
		key, rest, found := strings.Cut(text, "=")
		if !found {
			return nil, errQuoting
		}
		value, rest, err := quotedWord(rest, '\'')
		if err != nil {
			return nil, err
		}
		out[strings.TrimSpace(key)], text = value, rest
	}
	return out, nil
}

func quotedWord(text string, quote byte) (word, rest string, err error) {
	if text == "" || text[0] != quote {
		return "", "", errQuoting
	}
	var out strings.Builder
	for i := 1; i < len(text); i++ {
		switch {
		case text[i] != quote:
			out.WriteByte(text[i])
		case i+1 < len(text) && text[i+1] == quote:
			out.WriteByte(quote)
			i++
		default:
			return out.String(), text[i+1:], nil
		}
	}
	return "", "", errQuoting
}

func checkQuoting(t *testing.T, files map[string]string, user, password string) {
	t.Helper()
	values := secrets()
	values["databaseUser"], values["databasePassword"], values["loginPassword"] = user, password, password
	users, err := readUserlist(render(t, files["userlist.txt"], values))
	require.NoError(t, err, "user %q, password %q", user, password)
	assert.Equal(t, [][2]string{{"myshop_api", password}, {user, password}}, users)
	line := parseINI(t, render(t, files["pgbouncer.ini"], values))["databases"]["myshop"]
	connection, err := readConnection(line)
	require.NoError(t, err, "user %q", user)
	assert.Equal(t, map[string]string{"host": host, "port": "5432", "dbname": "myshop", "user": user}, connection)
}

func TestEveryPasswordReachesPgBouncerAsItIs(t *testing.T) {
	t.Parallel()
	files := poolTemplates(t)
	for _, password := range nasty {
		checkQuoting(t, files, "myshop_admin", password)
	}
	for _, user := range []string{`o'brien`, `Quoted "User"`, `a=b`, `'`} {
		checkQuoting(t, files, user, "secret")
	}
}

func TestALoginNamedLikeTheDatabaseUserIsRefused(t *testing.T) {
	t.Parallel()
	values := secrets()
	values["loginUser"] = values["databaseUser"]
	_, err := fill(poolTemplates(t)["userlist.txt"], values)
	assert.ErrorContains(t, err, "give the pool another loginUser")
}

func FuzzQuoting(f *testing.F) {
	for _, password := range nasty {
		f.Add("myshop_admin", password)
	}
	f.Add(`o'brien`, `a"b`)
	var once sync.Once
	var files map[string]string
	f.Fuzz(func(t *testing.T, user, password string) {
		once.Do(func() { files = poolTemplates(t) })
		// A name is on one line: PostgreSQL allows no NUL, and names have no line breaks or outer blanks.
		if strings.ContainsAny(user+password, "\x00\r\n") || user == "" || user == "myshop_api" {
			return
		}
		checkQuoting(t, files, user, password)
	})
}
