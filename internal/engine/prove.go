package engine

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/composure-dev/composure/internal/redact"
)

// Difference is a place where a replacement does not equal its original as it must. Values are masked: they may be shown.
type Difference struct {
	Path string
	Old  string
	New  string
}

func (d Difference) String() string {
	return fmt.Sprintf("%s: %s -> %s", d.Path, cmp.Or(d.Old, "nothing"), cmp.Or(d.New, "nothing"))
}

// ProofError is a replacement that was made but does not equal its original; nothing was stopped.
type ProofError struct {
	Differences []Difference
}

func (e *ProofError) Error() string { return "the replacement would differ in " + list(e.Differences) }

// ChangedError is a container that somebody else has changed since it was observed; nothing was stopped.
type ChangedError struct {
	Name        string
	Differences []Difference
}

func (e *ChangedError) Error() string {
	const format = "somebody has changed container %q since it was looked at; run the command again to take that over: %s"
	return fmt.Sprintf(format, e.Name, list(e.Differences))
}

func list(differences []Difference) string {
	shown := make([]string, 0, len(differences))
	for _, difference := range differences {
		shown = append(shown, difference.String())
	}
	return strings.Join(shown, ", ")
}

// Prove compares the created, not yet started replacement with its original, value by value over the whole of both inspect
// answers, fields unknown to this program included. Nothing may differ but what [allowances] lists. An empty result is the proof.
func Prove(old, replacement Container, r Replacement) []Difference {
	return compared(&proof{old: old, new: replacement, replacement: r, allowances: allowances()})
}

// changedSince tells what was changed about a container since the replacement was proved to equal it. The replacement stands for
// what it was then.
func changedSince(now, replacement Container, r Replacement) []Difference {
	restart := allowance{path: "Config/Labels/" + LabelRestart, cause: "the policy itself tells"}
	differences := compared(&proof{
		old: now, new: replacement, replacement: r, allowances: append([]allowance{restart}, allowances()...),
	})
	for i, d := range differences {
		differences[i].Old, differences[i].New = d.New, d.Old
	}
	return differences
}

// compared gives the differences that the proof's allowances do not cover.
func compared(p *proof) []Difference {
	oldTree, err := inspectTree(p.old)
	if err != nil {
		return []Difference{{Path: ".", Old: "cannot be read: " + err.Error()}}
	}
	newTree, err := inspectTree(p.new)
	if err != nil {
		return []Difference{{Path: ".", New: "cannot be read: " + err.Error()}}
	}
	p.compare(nil, oldTree, newTree)
	return p.differences
}

// inspectTree decodes an inspect answer. It keys the mounts by where they are mounted, since the engine lists them in any order,
// and gives the keys of maps that are sets a value: one that holds nothing would count for nothing.
func inspectTree(c Container) (map[string]any, error) {
	raw := c.Raw
	if raw == nil {
		encoded, err := json.Marshal(c.InspectResponse)
		if err != nil {
			return nil, err
		}
		raw = encoded
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var tree map[string]any
	if err := decoder.Decode(&tree); err != nil {
		return nil, err
	}
	keyBy(tree, "Mounts", "Destination")
	if host, ok := tree["HostConfig"].(map[string]any); ok {
		keyBy(host, "Mounts", "Target")
		markMembers(host, "PortBindings")
	}
	if config, ok := tree["Config"].(map[string]any); ok {
		markMembers(config, "ExposedPorts")
		markMembers(config, "Volumes")
	}
	return tree, nil
}

// keyBy turns the list at parent[name] into a map from each element's key. A repeated key leaves the list as it is.
func keyBy(parent map[string]any, name, key string) {
	list, _ := parent[name].([]any)
	keyed := make(map[string]any, len(list))
	for _, element := range list {
		fields, _ := element.(map[string]any)
		value, _ := fields[key].(string)
		keyed[value] = element
	}
	if len(keyed) == len(list) {
		parent[name] = keyed
	}
}

func markMembers(parent map[string]any, name string) {
	set, _ := parent[name].(map[string]any)
	for key, value := range set {
		if empty(value) {
			set[key] = true
		}
	}
}

type proof struct {
	old, new    Container
	replacement Replacement
	allowances  []allowance
	differences []Difference
}

func (p *proof) compare(path []string, old, new any) {
	for _, allowed := range p.allowances {
		if !allowed.matches(path) {
			continue
		}
		if allowed.accepts == nil || allowed.accepts(p, path, old, new) {
			return
		}
		if !allowed.descend {
			p.report(path, old, new)
			return
		}
	}
	oldMap, oldIsMap := old.(map[string]any)
	newMap, newIsMap := new.(map[string]any)
	if oldIsMap && newIsMap {
		p.compareMaps(path, oldMap, newMap)
		return
	}
	if (!empty(old) || !empty(new)) && !reflect.DeepEqual(old, new) {
		p.report(path, old, new)
	}
}

func (p *proof) compareMaps(path []string, old, new map[string]any) {
	keys := maps.Clone(old)
	maps.Copy(keys, new)
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		p.compare(append(slices.Clone(path), key), old[key], new[key])
	}
}

func (p *proof) report(path []string, old, new any) {
	if slices.Equal(path, []string{"Config", "Env"}) {
		p.reportEnv()
		return
	}
	p.differences = append(p.differences, Difference{Path: showPath(path), Old: showValue(path, old), New: showValue(path, new)})
}

// reportEnv names the variables that are not as the replacement wants them, and no value.
func (p *proof) reportEnv() {
	wanted, found := entriesByName(p.replacement.Env), entriesByName(p.new.Config.Env)
	keys := maps.Clone(wanted)
	maps.Copy(keys, found)
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		if !slices.Equal(wanted[key], found[key]) {
			difference := Difference{Path: showPath([]string{"Config", "Env", key}), Old: redact.Mask, New: redact.Mask}
			p.differences = append(p.differences, difference)
		}
	}
}

// empty holds for null, {} and []: the engine gives any of them for a list or map that was not set.
func empty(value any) bool {
	switch typed := value.(type) {
	case nil:
		return true
	case []any:
		return len(typed) == 0
	case map[string]any:
		return len(typed) == 0
	}
	return false
}

// showPath is the path as jq would write it.
func showPath(path []string) string {
	var shown strings.Builder
	for _, segment := range path {
		if strings.Trim(segment, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == "" {
			shown.WriteString("." + segment)
			continue
		}
		shown.WriteString("[" + strconv.Quote(segment) + "]")
	}
	return strings.TrimPrefix(shown.String(), ".")
}

// showValue hides what may hold a secret: command lines altogether, other values by their key. What a whole entry holds is too
// much to read.
func showValue(path []string, value any) string {
	if value == nil {
		return ""
	}
	if _, isMap := value.(map[string]any); isMap {
		return "an entry"
	}
	encoded, err := json.Marshal(value)
	if err != nil {
		return redact.Mask
	}
	command := slices.ContainsFunc(path, func(segment string) bool {
		return slices.Contains([]string{"Env", "Cmd", "Entrypoint", "Path", "Args", "Healthcheck"}, segment)
	})
	return redact.Value(string(encoded), command || redact.Key(path[len(path)-1]))
}
