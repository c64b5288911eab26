package compose

import (
	"errors"
	"strings"
	"testing"
)

// id is a container's id made of one digit.
func id(digit string) string { return strings.Repeat(digit, 64) }

// TestHashShared: a reference hashes as if the file had the container's id in it.
func TestHashShared(t *testing.T) {
	cases := map[string]struct {
		reason          string
		refers, literal string
		shared          Shared
	}{
		"Network":    {"network_mode", "    network_mode: service:b\n", "    network_mode: container:" + id("1") + "\n", Shared{Network: "container:" + id("1")}},
		"Pid":        {"pid", "    pid: service:b\n", "    pid: container:" + id("1") + "\n", Shared{Network: "x_default", Pid: "container:" + id("1")}},
		"Ipc":        {"ipc", "    ipc: service:b\n", "    ipc: container:" + id("1") + "\n", Shared{Ipc: "container:" + id("1")}},
		"Volumes":    {"volumes_from, in the order of the files and without modes", "    volumes_from: ['c:ro', b]\n", "    volumes_from: ['container:" + id("2") + "', 'container:" + id("1") + "']\n", Shared{VolumesFrom: []string{id("2"), id("1")}}},
		"Mixed":      {"a container's name stays as written", "    volumes_from: ['container:x:ro', b]\n", "    volumes_from: ['container:x', 'container:" + id("1") + "']\n", Shared{VolumesFrom: []string{"x", id("1")}}},
		"Container":  {"whatever the engine made of a container's name", "    network_mode: container:x\n", "    network_mode: container:x\n", Shared{Network: "container:" + id("1")}},
		"NoneShared": {"modes that are no references", "    ipc: shareable\n    pid: host\n", "    ipc: shareable\n    pid: host\n", Shared{Ipc: "private", Pid: ""}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			refers := mustLoad(t, Options{Directory: write(t, service(tc.refers+"  b: {image: i}\n  c: {image: i}\n"))})
			literal := mustLoad(t, Options{Directory: write(t, service(tc.literal))})
			want, err := literal.Hash("app", 0)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := refers.HashShared("app", 0, tc.shared); err != nil || got != want {
				t.Errorf("%s: %q, %v; want %q", tc.reason, got, err, want)
			}
		})
	}
}

// TestReplaceShared: the proof reads the running container's references, the stamp those of its successor.
func TestReplaceShared(t *testing.T) {
	p := mustLoad(t, Options{Directory: write(t, service("    network_mode: service:b\n    volumes_from: [b]\n  b: {image: i}\n"))})
	shared := func(digit string) Shared {
		return Shared{Network: "container:" + id(digit), VolumesFrom: []string{id(digit)}}
	}
	before, err := p.HashShared("app", 0, shared("1"))
	if err != nil {
		t.Fatal(err)
	}
	after, err := p.HashShared("app", 0, shared("2"))
	if err != nil {
		t.Fatal(err)
	}
	moved := shared("2")
	cases := map[string]struct {
		reason string
		now    Shared
		after  *Shared
		want   string // the hash, or part of why there is none
	}{
		"Same":     {"the parent stays", shared("1"), nil, before},
		"Moved":    {"the parent is replaced too", shared("1"), &moved, after},
		"Other":    {"it refers to another container than it was created with", shared("2"), nil, "more than its environment"},
		"Own":      {"it has a network of its own: the files were edited", Shared{Network: "bridge", VolumesFrom: []string{id("1")}}, nil, "does not refer to"},
		"Fewer":    {"it takes no volumes: the files were edited", Shared{Network: "container:" + id("1")}, nil, "does not refer to"},
		"Nameless": {"the successor's parent is not known", shared("1"), &Shared{}, "not known"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := p.Replace(ReplaceQuestion{Service: "app", Env: map[string]*string{}, Hash: before, Version: "5.6.0", Shared: tc.now, AfterShared: tc.after})
			var unprovable *Unprovable
			if err != nil && (!errors.As(err, &unprovable) || !strings.Contains(unprovable.Reason, tc.want)) || err == nil && got.Hash != tc.want {
				t.Errorf("%s: %q, %v; want %q", tc.reason, got.Hash, err, tc.want)
			}
		})
	}
}
