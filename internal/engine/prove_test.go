package engine_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"

	"github.com/composure-dev/composure/internal/engine"
	"github.com/composure-dev/composure/internal/engine/enginetest/conformance"
)

// provenPair is a running container with something of everything, and its created replacement.
func provenPair(t *testing.T) (old, created engine.Container, r engine.Replacement) {
	t.Helper()
	f := conformance.MemoryFixture(engine.MinAPIVersion)
	spec := engine.Spec{
		Name: "web",
		Config: &container.Config{
			Image:   f.Image,
			Env:     []string{"PASSWORD=old-secret", "HIDDEN"},
			Labels:  map[string]string{engine.LabelConfigHash: "before", "own": "1"},
			Volumes: map[string]struct{}{"/anonymous": {}},
		},
		Host: &container.HostConfig{
			NetworkMode: container.NetworkMode(f.Networks[0]),
			Binds:       []string{"data:/data"},
			Mounts:      []mount.Mount{{Type: mount.TypeVolume, Target: "/cache"}},
			CapAdd:      []string{"NET_ADMIN"},
		},
	}
	id, err := f.Writer.Create(t.Context(), spec)
	if err == nil {
		err = f.Writer.Start(t.Context(), id)
	}
	if err == nil {
		old, err = f.Reader.Inspect(t.Context(), id)
	}
	if err != nil {
		t.Fatal(err)
	}
	image, err := f.Reader.Image(t.Context(), old.Image)
	if err != nil {
		t.Fatal(err)
	}
	r = engine.Replacement{Old: old, Image: image, Env: []string{"PASSWORD=new-secret", "HIDDEN", "FROM_IMAGE=1"}, ConfigHash: "after", Transaction: "tx"}
	clone, err := engine.Clone(r, f.APIVersion)
	if err != nil {
		t.Fatal(err)
	}
	id, err = f.Writer.Create(t.Context(), clone)
	if err == nil {
		created, err = f.Reader.Inspect(t.Context(), id)
	}
	if err != nil {
		t.Fatal(err)
	}
	return old, created, r
}

// free are the places that say nothing about what a container is.
var free = regexp.MustCompile(`^(Id|Name|Created|State|LogPath|HostsPath|HostnamePath|ResolvConfPath|RestartCount|ExecIDs)(\.|$)` +
	`|^NetworkSettings\.(Ports|SandboxID|SandboxKey)` +
	`|^NetworkSettings\.Networks\.[^.]+\.DNSNames`)

func TestProveFindsEveryMutation(t *testing.T) {
	old, created, r := provenPair(t)
	if differences := engine.Prove(old, created, r); len(differences) > 0 {
		t.Fatalf("the untouched clone differs: %+v", differences)
	}
	var mutations int
	for path, mutate := range leaves(nil, decode(t, created.Raw)) {
		mutated := decode(t, created.Raw)
		mutate(mutated)
		changed := reencode(t, mutated)
		if free.MatchString(path) {
			continue
		}
		mutations++
		if len(engine.Prove(old, changed, r)) == 0 {
			t.Errorf("a change of %s goes unnoticed", path)
		}
	}
	if mutations < 60 {
		t.Errorf("only %d places were tried", mutations)
	}
}

func TestProveFindsUnknownFields(t *testing.T) {
	old, created, r := provenPair(t)
	tree := decode(t, created.Raw)
	tree["HostConfig"].(map[string]any)["Future"] = true
	differences := engine.Prove(old, reencode(t, tree), r)
	if len(differences) != 1 || differences[0].Path != "HostConfig.Future" {
		t.Errorf("a field this program does not know must be equal too, got %+v", differences)
	}
}

func TestProveFindsMissingNetwork(t *testing.T) {
	old, created, r := provenPair(t)
	tree := decode(t, created.Raw)
	tree["NetworkSettings"].(map[string]any)["Networks"] = map[string]any{}
	if len(engine.Prove(old, reencode(t, tree), r)) == 0 {
		t.Error("a replacement without the network passes")
	}
}

// sharingPair is a container that shares what it can with another one, and the created replacement, which shares it with that
// one's replacement.
func sharingPair(t *testing.T) (old, created engine.Container, r engine.Replacement) {
	t.Helper()
	f := conformance.MemoryFixture(engine.MinAPIVersion)
	run := func(spec engine.Spec) engine.Container {
		t.Helper()
		spec.Config.Image = f.Image
		id, err := f.Writer.Create(t.Context(), spec)
		if err == nil {
			err = f.Writer.Start(t.Context(), id)
		}
		var c engine.Container
		if err == nil {
			c, err = f.Reader.Inspect(t.Context(), id)
		}
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	parent := func(name string) engine.Container {
		return run(engine.Spec{
			Name:   name,
			Config: &container.Config{Hostname: "parent", Domainname: "local"},
			Host:   &container.HostConfig{IpcMode: container.IPCModeShareable, Binds: []string{"data:/image-volume"}},
		})
	}
	before, after := parent("before"), parent("after")
	old = run(engine.Spec{
		Name:   "web",
		Config: &container.Config{Labels: map[string]string{engine.LabelConfigHash: "before"}},
		Host: &container.HostConfig{
			NetworkMode: container.NetworkMode("container:" + before.ID),
			PidMode:     container.PidMode("container:" + before.ID),
			IpcMode:     container.IpcMode("container:" + before.ID),
			VolumesFrom: []string{before.ID + ":ro"},
		},
	})
	r = engine.Replacement{
		Old: old, Env: old.Config.Env, Transaction: "tx", References: map[string]string{before.ID: after.ID},
		Image: engine.Image{ID: old.Image, Names: []string{f.Image}},
	}
	clone, err := engine.Clone(r, f.APIVersion, after)
	if err != nil {
		t.Fatal(err)
	}
	id, err := f.Writer.Create(t.Context(), clone)
	if err == nil {
		created, err = f.Reader.Inspect(t.Context(), id)
	}
	if err != nil {
		t.Fatal(err)
	}
	return old, created, r
}

func TestProveFollowsReferences(t *testing.T) {
	old, created, r := sharingPair(t)
	if differences := engine.Prove(old, created, r); len(differences) > 0 {
		t.Fatalf("the untouched clone differs: %+v", differences)
	}
	cases := map[string]struct {
		reason string
		path   []string
		to     any
	}{
		"Network":    {"the old one's network ends with it", []string{"HostConfig", "NetworkMode"}, string(old.HostConfig.NetworkMode)},
		"Process":    {"so do its processes", []string{"HostConfig", "PidMode"}, string(old.HostConfig.PidMode)},
		"IPC":        {"so does its IPC", []string{"HostConfig", "IpcMode"}, "private"},
		"Volumes":    {"the mode counts", []string{"HostConfig", "VolumesFrom"}, []any{strings.TrimSuffix(created.HostConfig.VolumesFrom[0], ":ro")}},
		"NoVolumes":  {"they would be lost", []string{"HostConfig", "VolumesFrom"}, nil},
		"Hostname":   {"one of its own", []string{"Config", "Hostname"}, "own"},
		"Domainname": {"one of its own", []string{"Config", "Domainname"}, "own"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			tree := decode(t, created.Raw)
			change(tree, tc.path, tc.to)
			differences := engine.Prove(old, reencode(t, tree), r)
			if len(differences) != 1 || differences[0].Path != strings.Join(tc.path, ".") {
				t.Errorf("%s, got %+v", tc.reason, differences)
			}
		})
	}
}

func TestProveFindsLosses(t *testing.T) {
	old, created, r := provenPair(t)
	with := func(c engine.Container, path []string, to any) engine.Container {
		tree := decode(t, c.Raw)
		change(tree, path, to)
		changed := reencode(t, tree)
		c.Raw = changed.Raw
		return c
	}
	cases := map[string]struct {
		reason   string
		path     []string
		old, new any
	}{
		"ExposedPort":   {"the keys of a set are what it says", []string{"Config", "ExposedPorts"}, map[string]any{"80/tcp": map[string]any{}}, map[string]any{}},
		"Volume":        {"the keys of a set are what it says", []string{"Config", "Volumes"}, map[string]any{"/x": map[string]any{}}, nil},
		"PublishedPort": {"a port without an address is published too", []string{"HostConfig", "PortBindings"}, map[string]any{"80/tcp": nil}, map[string]any{}},
		"MAC":           {"an address that was asked for is kept", []string{"Config", "MacAddress"}, "02:00:00:00:00:01", nil},
		"Link":          {"a link is not lost", []string{"HostConfig", "Links"}, []any{"/db:/web/db"}, nil},
		"LinkAlias":     {"nor its alias", []string{"HostConfig", "Links"}, []any{"/db:/web/db"}, []any{"/db:/web.composure-new/other"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if len(engine.Prove(with(old, tc.path, tc.old), with(created, tc.path, tc.new), r)) == 0 {
				t.Errorf("%s: the loss of %v goes unnoticed", tc.reason, tc.old)
			}
			if differences := engine.Prove(with(old, tc.path, tc.old), with(created, tc.path, tc.old), r); len(differences) > 0 {
				t.Errorf("equal values differ: %+v", differences)
			}
		})
	}
}

// What a program reads depends on which of two entries of one name comes first.
func TestProveMindsRepeatedVariables(t *testing.T) {
	old, created, r := provenPair(t)
	cases := map[string]struct {
		reason        string
		wanted, found []any
		want          string
	}{
		"Order":    {"another one wins", []any{"A=1", "A=2"}, []any{"A=2", "A=1"}, "Config.Env.A"},
		"More":     {"the one that is too much may win", []any{"A=2"}, []any{"A=1", "A=2"}, "Config.Env.A"},
		"Bare":     {"a bare name is no empty value", []any{"A"}, []any{"A="}, "Config.Env.A"},
		"Others":   {"the order of the rest says nothing", []any{"A=1", "B=1", "A=2"}, []any{"A=1", "A=2", "B=1"}, ""},
		"Repeated": {"twice the same is the same", []any{"A=1", "A=1"}, []any{"A=1"}, ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			tree := decode(t, created.Raw)
			change(tree, []string{"Config", "Env"}, tc.found)
			r.Env = stringsOf(tc.wanted)
			var got string
			for _, d := range engine.Prove(old, reencode(t, tree), r) {
				got += d.Path
			}
			if got != tc.want {
				t.Errorf("%s: differs in %q, want %q", tc.reason, got, tc.want)
			}
		})
	}
}

// The short id of the old container as a name would outlive it.
func TestProveFindsTheOldHostname(t *testing.T) {
	old, created, r := provenPair(t)
	tree := decode(t, created.Raw)
	change(tree, []string{"Config", "Hostname"}, engine.ShortID(old.ID))
	if differences := engine.Prove(old, reencode(t, tree), r); len(differences) != 1 || differences[0].Path != "Config.Hostname" {
		t.Errorf("got %+v", differences)
	}
}

// Before its first start a container has no address but those that were asked for: one that the original has not would be new.
func TestProveFindsAddressesOfItsOwn(t *testing.T) {
	old, created, r := provenPair(t)
	with := func(name string, to any) engine.Container {
		tree := decode(t, created.Raw)
		for _, endpoint := range tree["NetworkSettings"].(map[string]any)["Networks"].(map[string]any) {
			endpoint.(map[string]any)[name] = to
		}
		return reencode(t, tree)
	}
	given := map[string]any{}
	for _, endpoint := range decode(t, old.Raw)["NetworkSettings"].(map[string]any)["Networks"].(map[string]any) {
		given = endpoint.(map[string]any)
	}
	for name, another := range map[string]any{"MacAddress": "02:00:00:00:00:01", "IPAddress": "10.9.0.9", "GlobalIPv6Address": "fd0c::9", "IPPrefixLen": 9} {
		if differences := engine.Prove(old, with(name, another), r); len(differences) != 1 {
			t.Errorf("%s %v, and the original has %v: %+v", name, another, given[name], differences)
		}
		for _, same := range []any{given[name], nil} {
			if differences := engine.Prove(old, with(name, same), r); len(differences) > 0 {
				t.Errorf("%s %v: %+v", name, same, differences)
			}
		}
	}
}

// The engine keeps the spelling that it was given, and this program writes its own.
func TestProveReadsAddresses(t *testing.T) {
	old, created, r := provenPair(t)
	with := func(c engine.Container, address string) engine.Container {
		tree := decode(t, c.Raw)
		networks := tree["NetworkSettings"].(map[string]any)["Networks"].(map[string]any)
		for _, endpoint := range networks {
			endpoint.(map[string]any)["IPAMConfig"] = map[string]any{"IPv6Address": address}
		}
		c.Raw = reencode(t, tree).Raw
		return c
	}
	if differences := engine.Prove(with(old, "fd0c:05e::0077"), with(created, "fd0c:5e::77"), r); len(differences) > 0 {
		t.Errorf("one address in two spellings: %+v", differences)
	}
	if differences := engine.Prove(with(old, "fd0c:5e::77"), with(created, "fd0c:5e::78"), r); len(differences) != 1 {
		t.Errorf("two addresses: %+v", differences)
	}
}

func TestProofErrorIsReadable(t *testing.T) {
	old, created, r := provenPair(t)
	tree := decode(t, created.Raw)
	tree["HostConfig"].(map[string]any)["Memory"] = 5
	tree["HostConfig"].(map[string]any)["Future"] = true
	tree["Config"].(map[string]any)["Env"] = []any{"PASSWORD=other-secret", "HIDDEN", "FROM_IMAGE=1"}
	err := &engine.ProofError{Differences: engine.Prove(old, reencode(t, tree), r)}
	const want = "the replacement would differ in Config.Env.PASSWORD: ******** -> ********, HostConfig.Future: nothing -> true, HostConfig.Memory: 0 -> 5"
	if err.Error() != want {
		t.Errorf("got  %s\nwant %s", err, want)
	}
}

func TestProveHidesValues(t *testing.T) {
	old, created, r := provenPair(t)
	tree := decode(t, created.Raw)
	config := tree["Config"].(map[string]any)
	config["Env"] = []any{"PASSWORD=other-secret", "HIDDEN", "FROM_IMAGE=1"}
	config["Cmd"] = []any{"--password=other-secret"}
	shown := fmt.Sprint(engine.Prove(old, reencode(t, tree), r))
	if strings.Contains(shown, "secret") {
		t.Errorf("a difference shows a value: %s", shown)
	}
	for _, place := range []string{"Config.Env.PASSWORD", "Config.Cmd"} {
		if !strings.Contains(shown, place) {
			t.Errorf("%s is not named: %s", place, shown)
		}
	}
}

func decode(t *testing.T, raw []byte) map[string]any {
	t.Helper()
	var tree map[string]any
	if err := json.Unmarshal(raw, &tree); err != nil {
		t.Fatal(err)
	}
	return tree
}

// reencode makes a container of a mutated answer. A mutation may not fit the types any more; the proof reads the raw answer.
func reencode(t *testing.T, tree map[string]any) engine.Container {
	t.Helper()
	raw, err := json.Marshal(tree)
	if err != nil {
		t.Fatal(err)
	}
	changed := engine.Container{Raw: raw, InspectResponse: container.InspectResponse{Config: &container.Config{}}}
	changed.ID, _ = tree["Id"].(string)
	changed.Config.Env = stringsOf(tree["Config"].(map[string]any)["Env"])
	return changed
}

func stringsOf(value any) []string {
	var list []string
	for _, element := range value.([]any) {
		text, _ := element.(string)
		list = append(list, text)
	}
	return list
}

// leaves returns, by path, how to change each value of the tree into another.
func leaves(path []string, value any) map[string]func(tree map[string]any) {
	found := make(map[string]func(map[string]any))
	switch typed := value.(type) {
	case map[string]any:
		for key, child := range typed {
			maps.Copy(found, leaves(append(slices.Clone(path), key), child))
		}
	case []any:
		for i, child := range typed {
			maps.Copy(found, leaves(append(slices.Clone(path), fmt.Sprint(i)), child))
		}
	default:
		found[strings.Join(path, ".")] = func(tree map[string]any) { change(tree, path, other(value)) }
	}
	return found
}

func change(parent any, path []string, to any) {
	switch typed := parent.(type) {
	case map[string]any:
		if len(path) == 1 {
			typed[path[0]] = to
			return
		}
		change(typed[path[0]], path[1:], to)
	case []any:
		var index int
		_, _ = fmt.Sscan(path[0], &index)
		if len(path) == 1 {
			typed[index] = to
			return
		}
		change(typed[index], path[1:], to)
	}
}

func other(value any) any {
	switch typed := value.(type) {
	case string:
		return typed + "x"
	case float64:
		return typed + 1
	case bool:
		return !typed
	}
	return "something"
}
