package compose

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestEditHeld(t *testing.T) {
	cases := map[string]struct {
		reason  string
		archive string
		want    string // part of the reason; empty: not held
	}{
		"Map":           {"a plain map", service("    environment:\n      A: 1\n"), ""},
		"List":          {"a plain list", service("    environment:\n    - A=1\n"), ""},
		"None":          {"no environment at all", service(""), ""},
		"EnvFile":       {"env_file does not stand in the way", service("    env_file: e\n") + "-- e --\nA=1\n", ""},
		"MergeElse":     {"a merge key that brings something else", "-- compose.yaml --\nx-b: &b {restart: always}\nservices: {app: {<<: *b, image: i}}\n", ""},
		"MergeOwn":      {"an own block beats what a merge key brings", "-- compose.yaml --\nx-b: &b {environment: {A: 1}}\nservices:\n  app:\n    <<: *b\n    image: i\n    environment:\n      A: 2\n", ""},
		"UnusedAnchor":  {"a service with an anchor nobody uses", "-- compose.yaml --\nservices:\n  app: &app\n    image: i\n", ""},
		"Include":       {"a service of an included file", "-- compose.yaml --\ninclude: [c.yaml]\n-- c.yaml --\nservices: {app: {image: i}}\n", "include is not supported yet"},
		"Extends":       {"a service that extends", service("    extends: base\n  base: {image: i}\n"), "extends is not supported yet"},
		"Extended":      {"a service that is extended", service("  child: {extends: {service: app}}\n"), "extends is not supported yet"},
		"ExtendedFile":  {"a service that another file extends", service("") + "-- compose.override.yaml --\nservices: {child: {image: i, extends: {file: compose.yaml, service: app}}}\n", "extends is not supported yet"},
		"EnvAlias":      {"environment: *alias", "-- compose.yaml --\nx-e: &e {A: 1}\nservices: {app: {image: i, environment: *e}}\n", "given by an alias"},
		"EnvMerge":      {"a merge key in environment", "-- compose.yaml --\nx-e: &e {A: 1}\nservices:\n  app:\n    image: i\n    environment:\n      <<: *e\n", "a merge key in environment"},
		"EnvAnchor":     {"an anchored block", service("    environment: &e\n      A: 1\n"), "with an anchor"},
		"ServiceMerge":  {"<< brings the environment", "-- compose.yaml --\nx-b: &b {environment: {A: 1}}\nservices: {app: {<<: *b, image: i}}\n", "through a merge key"},
		"ServiceAlias":  {"the service itself is an alias", "-- compose.yaml --\nx-b: &b {image: i}\nservices: {app: *b}\n", "alias or a merge key"},
		"SharedService": {"others take the service over", "-- compose.yaml --\nservices:\n  app: &app\n    image: i\n  two: *app\n", "take over by its anchor"},
		"FlowMap":       {"{}", service("    environment: {A: 1}\n"), "flow style"},
		"FlowList":      {"[]", service("    environment: [A=1]\n"), "flow style"},
		"Null":          {"an empty block; compose takes it only where an earlier file has one", service("    environment:\n      A: 1\n") + "-- compose.override.yaml --\nservices:\n  app:\n    environment:\n", "an empty environment"},
		"Override":      {"!override on the block", service("    environment:\n      A: 1\n") + "-- compose.override.yaml --\nservices:\n  app:\n    environment: !override\n      A: 2\n", "!override"},
		"Reset":         {"!reset on a key", service("    environment:\n      A: 1\n") + "-- compose.override.yaml --\nservices:\n  app:\n    environment:\n      A: !reset null\n", "!reset"},
		"MinusZero":     {"compose releases read it differently", service("    environment:\n      A: -0\n"), "an unquoted -0 is not supported yet"},
		"MinusZeroText": {"a string is one thing to all", service("    environment:\n      A: \"-0\"\n"), ""},
		"ReachedByFile": {"another file brings it back to another service", service("  other: {extends: {file: mid.yaml, service: mid}}\n") + "-- mid.yaml --\nservices: {mid: {extends: {file: compose.yaml, service: app}}}\n", "a file that is also extended or included is not supported yet"},
		"ReachedByIncl": {"an included file extends from it", service("") + "include: [sub.yaml]\n-- sub.yaml --\nservices: {other: {extends: {file: compose.yaml, service: app}}}\n", "a file that is also extended or included is not supported yet"},
		"ReachedDeeper": {"by another path to the same file", service("") + "include: [sub/c.yaml]\n-- sub/c.yaml --\nservices: {other: {extends: {file: ../sub/../compose.yaml, service: app}}}\n", "a file that is also extended or included is not supported yet"},
		"ReachesOut":    {"what it extends itself does not count", service("  other: {extends: {file: mid.yaml, service: mid}}\n") + "-- mid.yaml --\nservices: {mid: {image: i}}\n", ""},
		"Documents":     {"several documents", service("---\nservices: {app: {image: j}}\n"), "several YAML documents"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			p := mustLoad(t, Options{Directory: write(t, tc.archive)})
			checkHeld(t, tc.reason, p.Services["app"].EditHeld, tc.want)
		})
	}
}

// TestEditHeldBySymlink: a file is the same by whatever name it is reached.
func TestEditHeldBySymlink(t *testing.T) {
	dir := write(t, service("")+"include: [sub.yaml]\n-- sub.yaml --\nservices: {other: {extends: {file: link.yaml, service: app}}}\n")
	if err := os.Symlink("compose.yaml", filepath.Join(dir, "link.yaml")); err != nil {
		t.Skip(err)
	}
	p := mustLoad(t, Options{Directory: dir})
	checkHeld(t, "reached through a symbolic link", p.Services["app"].EditHeld, "a file that is also extended or included")
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
		"Replicas":  {"deploy.replicas", "    deploy: {replicas: 2}\n", nil, "replicas"},
		"Zero":      {"scale 0", "    scale: 0\n", nil, "replicas"},
		"PostStart": {"post_start", "    post_start: [{command: [a]}]\n", nil, "hooks"},
		"PreStop":   {"pre_stop", "    pre_stop: [{command: [a]}]\n", nil, "hooks"},
		"PreStart":  {"pre_start", "    pre_start: [{image: i, command: [a]}]\n", nil, "hooks"},
		"Provider":  {"provider", "    provider: {type: x}\n", nil, "provider"},
		"Models":    {"models", "    models: [m]\nmodels: {m: {model: x}}\n", nil, "models"},
		"Socket":    {"use_api_socket", "    use_api_socket: true\n", nil, "use_api_socket"},
		"ImageVol":  {"a volume that is an image", "    volumes: [{type: image, source: x, target: /x}]\n", nil, "type image"},
		"Config":    {"a config with content", "    configs: [c]\nconfigs: {c: {content: x}}\n", nil, "config with content"},
		"ConfigEnv": {"a config from the environment", "    configs: [c]\nconfigs: {c: {environment: X}}\n", []string{"X=1"}, "config with content"},
		"FileOnly":  {"a config and a secret that are files", "    configs: [c]\n    secrets: [s]\nconfigs: {c: {file: ./c}}\nsecrets: {s: {file: ./s}}\n", nil, ""},
		"Secret":    {"a secret from the environment", "    secrets: [s]\nsecrets: {s: {environment: X}}\n", []string{"X=1"}, "secret from an environment variable"},
		"NetOf":     {"it shares another's network", "    network_mode: service:b\n  b: {image: i}\n", nil, "namespace shared"},
		"PidOf":     {"it shares a container's pid space", "    pid: container:x\n", nil, "namespace shared"},
		"VolumesOf": {"it takes another's volumes", "    volumes_from: [b]\n  b: {image: i}\n", nil, "volumes_from"},
		"NetBy":     {"another shares its network", "  b: {image: i, network_mode: 'service:app'}\n", nil, "service b shares a namespace"},
		"NetByOff":  {"so does an inactive one", "  b: {image: i, profiles: [p], network_mode: 'service:app'}\n", nil, "service b shares a namespace"},
		"VolumesBy": {"another takes its volumes", "  b: {image: i, volumes_from: ['app:ro']}\n", nil, "service b takes its volumes"},
		"Restart":   {"another restarts with it", "  b: {image: i, depends_on: {app: {condition: service_started, restart: true}}}\n", nil, "service b restarts with it"},
		"DependsOn": {"a plain dependency", "  b: {image: i, depends_on: [app]}\n", nil, ""},
		"Link":      {"a plain link", "  b: {image: i, links: [app]}\n", nil, ""},
		"Platform":  {"a build for a platform of the shell's", "    build: .\n", []string{"DOCKER_DEFAULT_PLATFORM=linux/arm64"}, "DOCKER_DEFAULT_PLATFORM"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			p := mustLoad(t, Options{Directory: write(t, service(tc.body)), Environ: tc.env})
			checkHeld(t, tc.reason, p.Services["app"].SwapHeld, tc.want)
		})
	}
}
