package compose

import (
	"bytes"
	"compress/flate"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"

	"github.com/compose-spec/compose-go/v2/types"
)

// Frozen is a loaded project in a form that takes a tenth of its memory. It is immutable.
type Frozen struct {
	content []byte         // a frozen as JSON, compressed
	kept    types.Services // those that JSON does not give back as they are
	model   *types.Project // it is small
}

// frozen is what a Project is made of, but for its model.
type frozen struct {
	Project       *Project
	Configs       types.Services
	SelfReferring map[string]bool
}

var errNotFrozen = errors.New("the project is not what it was once it was written down")

// Freeze gives the project in a form from which Thaw makes exactly this one again; where that cannot be, it is an error.
func (p *Project) Freeze() (*Frozen, error) {
	f := &Frozen{kept: types.Services{}, model: p.model}
	plain := frozen{Project: p, Configs: types.Services{}, SelfReferring: p.selfReferring}
	for name, config := range p.configs {
		if survives(config) {
			plain.Configs[name] = config
		} else {
			f.kept[name] = config
		}
	}
	written, err := json.Marshal(plain)
	if err != nil {
		return nil, fmt.Errorf("write project: %w", err)
	}
	if f.content, err = deflated(written); err != nil {
		return nil, err
	}
	again, err := f.Thaw()
	if err != nil {
		return nil, err
	}
	before, after := *p, *again
	before.configs, after.configs = nil, nil // each was compared
	if !reflect.DeepEqual(before, after) {
		return nil, errNotFrozen
	}
	return f, nil
}

// survives reports whether a service, once it was written as JSON, still is written so and hashed so in every flavor: nobody asks more
// of it. What JSON does not have of it, extensions say, is in no hash.
func survives(config types.ServiceConfig) bool {
	written, err := json.Marshal(config)
	if err != nil {
		return false
	}
	var read types.ServiceConfig
	if err := json.Unmarshal(written, &read); err != nil {
		return false
	}
	read.Name = config.Name
	again, err := json.Marshal(read)
	if err != nil || !bytes.Equal(written, again) {
		return false
	}
	before, beforeErr := newEncoding(config)
	after, afterErr := newEncoding(read)
	return errors.Join(beforeErr, afterErr) == nil && reflect.DeepEqual(before, after)
}

// Thaw is the project again.
func (f *Frozen) Thaw() (*Project, error) {
	written, err := io.ReadAll(flate.NewReader(bytes.NewReader(f.content)))
	if err != nil {
		return nil, fmt.Errorf("decompress project: %w", err)
	}
	var read frozen
	if err := json.Unmarshal(written, &read); err != nil {
		return nil, fmt.Errorf("read project: %w", err)
	}
	p := read.Project
	p.model, p.configs, p.selfReferring = f.model, maps.Clone(f.kept), read.SelfReferring
	for name, config := range read.Configs {
		config.Name = name
		p.configs[name] = config
	}
	return p, nil
}

func deflated(content []byte) ([]byte, error) {
	var compressed bytes.Buffer
	writer, err := flate.NewWriter(&compressed, flate.BestSpeed)
	if err == nil {
		_, err = writer.Write(content)
	}
	if err == nil {
		err = writer.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("compress project: %w", err)
	}
	return bytes.Clone(compressed.Bytes()), nil
}

// writtenDefinition is a Definition whose place does not get into the way of its file.
type writtenDefinition struct {
	File     string
	Declared map[string]Variable
	Replaces bool
	Place    Position
}

// MarshalJSON implements json.Marshaler: the file of the embedded Position would be lost beside Definition.File.
func (d Definition) MarshalJSON() ([]byte, error) {
	return json.Marshal(writtenDefinition{d.File, d.Declared, d.Replaces, d.Position})
}

// UnmarshalJSON implements json.Unmarshaler.
func (d *Definition) UnmarshalJSON(text []byte) error {
	var read writtenDefinition
	err := json.Unmarshal(text, &read)
	*d = Definition{File: read.File, Declared: read.Declared, Replaces: read.Replaces, Position: read.Place}
	return err
}
