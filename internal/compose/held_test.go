package compose

import (
	"strings"
	"testing"
)

func TestEditHeld(t *testing.T) {
	cases := map[string]struct {
		reason  string
		archive string
		want    string // part of the reason; empty: not held
	}{
		"Map":          {"a plain map", service("    environment:\n      A: 1\n"), ""},
		"List":         {"a plain list", service("    environment:\n    - A=1\n"), ""},
		"None":         {"no environment at all", service(""), ""},
		"EnvFile":      {"env_file does not stand in the way", service("    env_file: e\n") + "-- e --\nA=1\n", ""},
		"MergeElse":    {"a merge key that brings something else", "-- compose.yaml --\nx-b: &b {restart: always}\nservices: {app: {<<: *b, image: i}}\n", ""},
		"MergeOwn":     {"an own block beats what a merge key brings", "-- compose.yaml --\nx-b: &b {environment: {A: 1}}\nservices:\n  app:\n    <<: *b\n    image: i\n    environment:\n      A: 2\n", ""},
		"UnusedAnchor": {"a service with an anchor nobody uses", "-- compose.yaml --\nservices:\n  app: &app\n    image: i\n", ""},
		"Include":      {"a service of an included file", "-- compose.yaml --\ninclude: [c.yaml]\n-- c.yaml --\nservices: {app: {image: i}}\n", ""},
		"Extends":      {"a service that extends", service("    extends: base\n  base: {image: i}\n"), ""},
		"EnvAlias":     {"environment: *alias", "-- compose.yaml --\nx-e: &e {A: 1}\nservices: {app: {image: i, environment: *e}}\n", ""},
		"ServiceMerge": {"<< brings the environment", "-- compose.yaml --\nx-b: &b {environment: {A: 1}}\nservices: {app: {<<: *b, image: i}}\n", ""},
		"Null":         {"an empty block", service("    environment:\n      A: 1\n") + "-- compose.override.yaml --\nservices:\n  app:\n    environment:\n", ""},
		"Override":     {"!override on the block", service("    environment:\n      A: 1\n") + "-- compose.override.yaml --\nservices:\n  app:\n    environment: !override\n      A: 2\n", ""},
		"Reset":        {"!reset on a key", service("    environment:\n      A: 1\n") + "-- compose.override.yaml --\nservices:\n  app:\n    environment:\n      A: !reset null\n", ""},
		"Documents":    {"several documents", service("---\nservices: {app: {image: j}}\n"), ""},
		"Dotted":       {"compose-go merges the blocks of an included service with a dot in its name by other rules", "-- compose.yaml --\ninclude: [c.yaml]\nservices: {app: {image: i}, a.b: {environment: {A: }}}\n-- c.yaml --\nservices: {a.b: {image: i, environment: {A: 1}}}\n", ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			p := mustLoad(t, Options{Directory: write(t, tc.archive)})
			checkHeld(t, tc.reason, p.Services["app"].EditHeld, tc.want)
		})
	}
}

// TestEditHeldUnexplained: where the walk and compose-go differ there is no place, and no edit.
func TestEditHeldUnexplained(t *testing.T) {
	p := mustLoad(t, Options{Directory: write(t, "-- compose.yaml --\ninclude: [c.yaml]\nservices: {a.b: {environment: {A: , B: 2}}}\n-- c.yaml --\nservices: {a.b: {image: i, environment: {A: 1}}}\n")})
	s := p.Services["a.b"]
	if s.EditHeld != unexplainedEnvironment || text(s.Environment["A"].Value) != "1" || s.Environment["A"].Line != 0 {
		t.Errorf("held %q, A = %+v; want compose-go's value, held, without a place", s.EditHeld, s.Environment["A"])
	}
	if s.Environment["B"].Line == 0 {
		t.Error("B, which both know, lost its place")
	}
}

func checkHeld(t *testing.T, reason, got, want string) {
	t.Helper()
	if want == "" && got != "" || !strings.Contains(got, want) {
		t.Errorf("%s: held %q, want %q", reason, got, want)
	}
}

func TestSwapHeld(t *testing.T) {
	cases := map[string]struct {
		reason string
		body   string // of the service, and what follows it
		env    []string
		want   string
	}{
		"MinusZero": {"its hash depends on the release", "    environment: {A: -0}\n", nil, "an unquoted -0 is not supported yet"},
		"Plain":     {"an ordinary service", "    ports: ['80']\n    volumes: [d:/d, /a]\nvolumes: {d: {}}\n", nil, ""},
		"Replicas":  {"deploy.replicas", "    deploy: {replicas: 2}\n", nil, ""},
		"Zero":      {"scale 0", "    scale: 0\n", nil, ""},
		"PostStart": {"post_start", "    post_start: [{command: [a]}]\n", nil, "hooks"},
		"PreStop":   {"pre_stop", "    pre_stop: [{command: [a]}]\n", nil, "hooks"},
		"PreStart":  {"pre_start", "    pre_start: [{image: i, command: [a]}]\n", nil, "hooks"},
		"Provider":  {"provider", "    provider: {type: x}\n", nil, "provider"},
		"Models":    {"models", "    models: [m]\nmodels: {m: {model: x}}\n", nil, "models"},
		"Socket":    {"use_api_socket", "    use_api_socket: true\n", nil, "use_api_socket"},
		"ImageVol":  {"a volume that is an image", "    volumes: [{type: image, source: x, target: /x}]\n", nil, "type image"},
		"Config":    {"a config with content", "    configs: [c]\nconfigs: {c: {content: x}}\n", nil, ""},
		"Secret":    {"a secret from the environment", "    secrets: [s]\nsecrets: {s: {environment: X}}\n", []string{"X=1"}, ""},
		"NetOf":     {"it shares another's network", "    network_mode: service:b\n  b: {image: i}\n", nil, ""},
		"PidOf":     {"it shares a container's pid space", "    pid: container:x\n", nil, ""},
		"VolumesOf": {"it takes another's volumes", "    volumes_from: [b]\n  b: {image: i}\n", nil, ""},
		"NetBy":     {"another shares its network", "  b: {image: i, network_mode: 'service:app'}\n", nil, ""},
		"VolumesBy": {"another takes its volumes", "  b: {image: i, volumes_from: ['app:ro']}\n", nil, ""},
		"Restart":   {"another restarts with it", "  b: {image: i, depends_on: {app: {condition: service_started, restart: true}}}\n", nil, ""},
		"Platform":  {"a build for a platform of the shell's", "    build: .\n", []string{"DOCKER_DEFAULT_PLATFORM=linux/arm64"}, "DOCKER_DEFAULT_PLATFORM"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			p := mustLoad(t, Options{Directory: write(t, service(tc.body)), Environ: tc.env})
			checkHeld(t, tc.reason, p.Services["app"].SwapHeld, tc.want)
		})
	}
}
