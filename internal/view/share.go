package view

import (
	"crypto/sha256"
	"encoding/json"

	"github.com/moby/moby/api/types/container"

	"github.com/composure-dev/composure/internal/engine"
)

// shared keeps one copy of what many containers say in the same words: labels, variables, and what their host gives them. Of ten
// thousand containers that is the larger part. Nobody changes what is remembered, so it can be one for all.
type shared struct {
	words map[string]string
	hosts map[[sha256.Size]byte]*container.HostConfig // by the digest of their JSON
}

func newShared() shared {
	return shared{words: map[string]string{}, hosts: map[[sha256.Size]byte]*container.HostConfig{}}
}

// slim leaves out what finding drift does not need: a container's raw answer is the larger half of it.
func (s shared) slim(c engine.Container) engine.Container {
	c.Raw = nil
	c.Image, c.Driver, c.Platform = s.word(c.Image), s.word(c.Driver), s.word(c.Platform)
	if encoded, err := json.Marshal(c.HostConfig); err == nil && c.HostConfig != nil {
		digest := sha256.Sum256(encoded)
		if known, is := s.hosts[digest]; is {
			c.HostConfig = known
		}
		s.hosts[digest] = c.HostConfig
	}
	if c.Config == nil {
		return c
	}
	config := *c.Config
	config.Image, config.Env, config.Entrypoint, config.Cmd = s.word(config.Image), s.list(config.Env), s.list(config.Entrypoint), s.list(config.Cmd)
	if config.Labels != nil {
		labels := make(map[string]string, len(config.Labels))
		for key, value := range config.Labels {
			labels[s.word(key)] = s.word(value)
		}
		config.Labels = labels
	}
	c.Config = &config
	return c
}

// list keeps nil apart from empty, which mean two things for an entrypoint.
func (s shared) list(words []string) []string {
	if words == nil {
		return nil
	}
	list := make([]string, len(words))
	for i, word := range words {
		list[i] = s.word(word)
	}
	return list
}

func (s shared) word(word string) string {
	if known, is := s.words[word]; is {
		return known
	}
	s.words[word] = word
	return word
}
