package policy

import (
	"net/url"
	"strings"
)

// ProblemWith says why the check cannot ask url, which is its own with the references expanded, and what helps. Both are empty
// when it can. Neither quotes the URL: it may hold a password.
func (c *HTTPCheck) ProblemWith(raw string) (problem, hint string) {
	const encode = "percent-encode special characters: in a password # is %23, / is %2F, ? is %3F and @ is %40"
	parsed, err := url.Parse(raw)
	switch {
	case err != nil:
		return "is not a URL", encode
	case parsed.Scheme != "http" && parsed.Scheme != "https":
		return "must begin with http:// or https://", "such as http://127.0.0.1:8000/health"
	case parsed.Hostname() == "":
		return "names no host", "such as http://127.0.0.1:8000/health"
	// What an unescaped #, / or ? of a password leaves in front of it would pass for the host.
	case parsed.Fragment != "":
		return "has a #", encode
	case parsed.User == nil && strings.Contains(parsed.EscapedPath()+parsed.RawQuery, "@"):
		return "has a @ behind the host", encode
	case parsed.Scheme == "https" && !c.InsecureSkipVerify:
		return "is https, and the probe trusts no certificate authority", "add insecureSkipVerify: true, or ask over http"
	case parsed.Scheme == "http" && c.InsecureSkipVerify:
		return "is http, where insecureSkipVerify means nothing", "remove insecureSkipVerify"
	}
	return "", ""
}
