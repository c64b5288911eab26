package reconcile

import (
	"strings"

	"github.com/composure-dev/composure/internal/compose"
)

// adviser returns what makes a command in an advice the one for this project: without the flags that Composure was given, docker
// compose would look elsewhere.
func adviser(options compose.Options) func(string) string {
	var flags []string
	add := func(flag string, values ...string) {
		for _, value := range values {
			if value != "" {
				flags = append(flags, flag, quoteArgument(value))
			}
		}
	}
	add("-p", options.Name)
	add("--project-directory", options.ProjectDirectory)
	add("-f", options.Files...)
	add("--env-file", options.EnvFiles...)
	add("--profile", options.Profiles...)
	command := strings.Join(append([]string{"docker compose"}, flags...), " ")
	return func(advice string) string { return strings.ReplaceAll(advice, "docker compose", command) }
}

// quoteArgument quotes what a shell would not take as one word.
func quoteArgument(argument string) string {
	safe := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:=@+,", r)
	}
	if strings.IndexFunc(argument, func(r rune) bool { return !safe(r) }) < 0 {
		return argument
	}
	return "'" + strings.ReplaceAll(argument, "'", `'\''`) + "'"
}
