package compose

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestCompanions(t *testing.T) {
	type companions struct {
		Injected, Shares, RestartsWith []string
		OneShot                        bool
	}
	cases := map[string]struct {
		reason string
		body   string // of the service, and what follows it
		want   companions
	}{
		"Alone":     {"an ordinary service", "", companions{}},
		"Namespace": {"each once, and no container", "    network_mode: service:b\n    pid: service:b\n    ipc: container:x\n  b: {image: i}\n", companions{Shares: []string{"b"}}},
		"Volumes":   {"read-only or not", "    volumes_from: ['c:ro', b, 'container:x']\n  b: {image: i}\n  c: {image: i}\n", companions{Shares: []string{"b", "c"}}},
		"Restart": {
			"what the user wrote", "    depends_on: {b: {condition: service_started, restart: true}, c: {condition: service_started}}\n  b: {image: i}\n  c: {image: i}\n",
			companions{RestartsWith: []string{"b"}},
		},
		"Link":    {"compose's own restart for a link is not followed", "    links: [b]\n  b: {image: i}\n", companions{}},
		"OneShot": {"somebody waits for its end", "  b: {image: i, depends_on: {app: {condition: service_completed_successfully}}}\n", companions{OneShot: true}},
		"Injected": {
			"what has no file of its own, where it is put",
			"    configs: [c, {source: d, target: /etc/d}, {source: e, target: rel}, f, g]\n    secrets: [s, {source: s, target: t}, {source: s, target: /abs}, u]\n" +
				"configs: {c: {content: x}, d: {environment: X}, e: {content: x}, f: {file: ./f}, g: {content: ''}}\nsecrets: {s: {environment: X}, u: {file: ./u}}\n",
			companions{Injected: []string{"/c", "/etc/d", "/rel", "/run/secrets/s", "/run/secrets/t", "/abs"}},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := mustLoad(t, Options{Directory: write(t, service(tc.body)), Environ: []string{"X=1"}}).Services["app"]
			got := companions{s.Injected, s.Shares, s.RestartsWith, s.OneShot}
			if diff := cmp.Diff(tc.want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// The id of the other container is in the hash, so that its replacement changes it.
func TestReplaceFollowsWhatIsShared(t *testing.T) {
	dir := write(t, service("    environment: {A: '1'}\n    network_mode: service:b\n    volumes_from: ['b:ro']\n  b: {image: i}\n"))
	p := mustLoad(t, Options{Directory: dir})
	id := func(digit string) Shared {
		return Shared{Network: "container:" + strings.Repeat(digit, 64), VolumesFrom: []string{strings.Repeat(digit, 64)}}
	}
	one := "1"
	was, next := id("1"), id("2")
	hash, err := p.hashShared("app", 0, was)
	if err != nil {
		t.Fatal(err)
	}
	q := ReplaceQuestion{Service: "app", Env: map[string]*string{"A": &one}, Hash: hash, Version: "5.6.0", Shared: was}
	same, err := p.Replace(q)
	if err != nil || same.Hash != hash {
		t.Errorf("with the same container: %q, %v; want %q", same.Hash, err, hash)
	}
	q.AfterShared = &next
	want, err := p.hashShared("app", 0, next)
	if err != nil {
		t.Fatal(err)
	}
	if other, err := p.Replace(q); err != nil || other.Hash != want || want == hash {
		t.Errorf("with another container: %q, %v; want %q", other.Hash, err, want)
	}
	q.Shared = next
	if _, err := p.Replace(q); err == nil {
		t.Error("a hash of another container is no proof")
	}
}
