package redact

import (
	"slices"
	"strings"
	"unicode"
)

// secretKey looks at the words of a name: DB_PASSWORD, dbPassword and db-password are the same three times.
func secretKey(name string) bool {
	words := keyWords(name)
	if slices.Equal(words, []string{"PWD"}) || slices.Equal(words, []string{"OLDPWD"}) {
		return false
	}
	for i, word := range words {
		if word == "KEY" && i > 0 && words[i-1] == "PUBLIC" {
			continue
		}
		if secretWord(strings.TrimRight(word, "0123456789")) {
			return true
		}
	}
	return false
}

func secretWord(word string) bool {
	for _, part := range []string{"PASSWORD", "PASSWD", "PASSPHRASE", "SECRET", "CREDENTIAL", "APIKEY", "PRIVATE"} {
		if strings.Contains(word, part) {
			return true
		}
	}
	for _, end := range []string{"TOKEN", "KEY", "PWD"} {
		if strings.HasSuffix(word, end) {
			return true
		}
	}
	return slices.Contains([]string{"PASS", "KEYS", "TOKENS", "AUTH", "DSN", "SALT", "JWT", "BEARER", "COOKIE", "WEBHOOK", "PIN", "CREDS"}, word)
}

// keyWords splits a name at everything that is no letter or digit and where an upper-case letter follows a lower-case one.
func keyWords(name string) []string {
	var spaced strings.Builder
	lower := false
	for _, r := range name {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) || unicode.IsUpper(r) && lower {
			spaced.WriteByte(' ')
		}
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			spaced.WriteRune(unicode.ToUpper(r))
		}
		lower = unicode.IsLower(r)
	}
	return strings.Fields(spaced.String())
}
