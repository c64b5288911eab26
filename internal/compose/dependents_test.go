package compose

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// hanging is how a service hangs together with others.
type hanging struct {
	Injected, MayInject, Shares, RestartsWith []string
	OneShot                                   bool
}

func TestMACs(t *testing.T) {
	const first, second = "02:00:00:00:00:01", "02:00:00:00:00:02"
	cases := map[string]struct {
		reason, body string
		want         []string
	}{
		"None":     {"the engine gives one", "    networks: {a: {}, b: null}\nnetworks: {a: {}, b: {}}\n", nil},
		"Service":  {"that of the service", "    mac_address: " + first + "\n", []string{first}},
		"Networks": {"those of its networks", "    networks: {b: {mac_address: '" + second + "'}, a: {mac_address: '" + first + "'}}\nnetworks: {a: {}, b: {}}\n", []string{first, second}},
		"Both":     {"one address, said twice", "    mac_address: " + first + "\n    networks: {a: {mac_address: '" + first + "'}}\nnetworks: {a: {}}\n", []string{first}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			p := mustLoad(t, Options{Directory: write(t, service(tc.body))})
			if diff := cmp.Diff(tc.want, p.Services["app"].MACs, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func TestDependents(t *testing.T) {
	const restart = "{condition: service_started, restart: true}"
	cases := map[string]struct {
		reason string
		body   string // of the service app, and what follows it
		want   hanging
	}{
		"None":           {"a service of its own", "  b: {image: i, depends_on: [app]}\n", hanging{}},
		"Namespaces":     {"each namespace, sorted, each service once", "    network_mode: service:z\n    pid: service:b\n    ipc: service:z\n  b: {image: i}\n  z: {image: i}\n", hanging{Shares: []string{"b", "z"}}},
		"Volumes":        {"volumes_from, with a mode and without", "    volumes_from: [z, 'b:ro']\n  b: {image: i}\n  z: {image: i}\n", hanging{Shares: []string{"b", "z"}}},
		"Containers":     {"containers are no services", "    network_mode: container:x\n    pid: host\n    ipc: shareable\n    volumes_from: ['container:x:ro']\n", hanging{}},
		"Restart":        {"what the user wrote", "    depends_on: {z: " + restart + ", b: " + restart + ", c: {condition: service_started}}\n  b: {image: i}\n  c: {image: i}\n  z: {image: i}\n", hanging{RestartsWith: []string{"b", "z"}}},
		"Link":           {"a link is compose-go's own restart", "    links: ['b:alias']\n  b: {image: i}\n", hanging{}},
		"LinkToo":        {"written, and a link besides", "    links: [b]\n    depends_on: {b: " + restart + "}\n  b: {image: i}\n", hanging{RestartsWith: []string{"b"}}},
		"OneIsALink":     {"of two, one is written", "    links: [b, c]\n    depends_on: {c: " + restart + "}\n  b: {image: i}\n  c: {image: i}\n", hanging{RestartsWith: []string{"c"}}},
		"Extended":       {"written in a base", "    extends: base\n    links: [b]\n  b: {image: i}\n  base: {image: i, depends_on: {b: " + restart + "}}\n", hanging{RestartsWith: []string{"b"}}},
		"Included":       {"written for a service of an included file", "    links: [b]\n    depends_on: {b: " + restart + "}\ninclude: [c.yaml]\n-- c.yaml --\nservices: {b: {image: i}}\n", hanging{RestartsWith: []string{"b"}}},
		"Namespace":      {"a shared namespace is compose-go's own restart", "    network_mode: service:b\n  b: {image: i}\n", hanging{Shares: []string{"b"}}},
		"OneShot":        {"another waits for its end", "  b: {image: i, depends_on: {app: {condition: service_completed_successfully}}}\n", hanging{OneShot: true}},
		"OneShotOff":     {"so does an inactive one", "  b: {image: i, profiles: [p], depends_on: {app: {condition: service_completed_successfully}}}\n", hanging{OneShot: true}},
		"Healthy":        {"another waits for its health", "  b: {image: i, depends_on: {app: {condition: service_healthy}}}\n", hanging{}},
		"Configs":        {"of content, of a variable, and of a file", "    configs: [a, b, c]\nconfigs: {a: {content: x}, b: {environment: X}, c: {file: ./c}}\n", hanging{Injected: []string{"/a", "/b"}}},
		"Secrets":        {"of a variable, and of a file", "    secrets: [a, b]\nsecrets: {a: {environment: X}, b: {file: ./b}}\n", hanging{Injected: []string{"/run/secrets/a"}}},
		"Unset":          {"what the variable had at that time is not known", "    secrets: [a]\nsecrets: {a: {environment: UNSET}}\n", hanging{Injected: []string{"/run/secrets/a"}}},
		"Empty":          {"what is empty now compose would not copy, but it may have been otherwise", "    configs: [a, b]\n    secrets: [s]\nconfigs: {a: {content: ''}, b: {content: '${EMPTY}'}}\nsecrets: {s: {environment: EMPTY}}\n", hanging{MayInject: []string{"/a", "/b", "/run/secrets/s"}}},
		"External":       {"what others have made", "    configs: [a]\nconfigs: {a: {external: true}}\n", hanging{}},
		"Targets":        {"targets of their own, absolute and not", "    configs: [{source: a, target: etc/a}, {source: a, target: /b}]\n    secrets: [{source: s, target: t}, {source: s, target: /etc/s}]\nconfigs: {a: {content: x}}\nsecrets: {s: {environment: X}}\n", hanging{Injected: []string{"/b", "/etc/a", "/etc/s", "/run/secrets/t"}}},
		"NotOurs":        {"configs that other services have", "  b: {image: i, configs: [a]}\nconfigs: {a: {content: x}}\n", hanging{}},
		"NamedOtherwise": {"compose names the file after the key", "    configs: [a]\nconfigs: {a: {name: other, content: x}}\n", hanging{Injected: []string{"/a"}}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			p := mustLoad(t, Options{Directory: write(t, service(tc.body)), Environ: []string{"X=1", "EMPTY="}})
			s := p.Services["app"]
			if diff := cmp.Diff(tc.want, hanging{s.Injected, s.MayInject, s.Shares, s.RestartsWith, s.OneShot}); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}
