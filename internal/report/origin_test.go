package report

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/composure-dev/composure/policy"
)

// originOf is a variable with every kind of link.
func originOf() Origin {
	at := func(file string, line, column int) *policy.Origin {
		return &policy.Origin{File: "/srv/shop/" + file, Line: line, Column: column}
	}
	winner := at("compose.override.yaml", 12, 7)
	return Origin{
		Version: "1.2.3", Project: "shop", Directory: "/srv/shop", Service: "app", Variable: "LEVEL", Value: new("debug"),
		Chain: []Link{
			{Result: LinkWins, Layer: policy.LayerEnvironment, Origin: winner, Value: new("debug"), Text: "${LEVEL_NOW:-debug}${SUFFIX}", References: []LinkReference{{Name: "LEVEL_NOW"}, {Name: "SUFFIX", Value: new(""), Source: "/srv/shop/.env"}}},
			{Result: LinkPassed, Layer: policy.LayerEnvironment, Origin: at("compose.yaml", 30, 7)},
			{Result: LinkOverridden, By: winner, Layer: policy.LayerEnvironment, Origin: at("compose.yaml", 3, 3), Value: new("info"), Text: "info", Fragment: at("compose.yaml", 10, 11)},
			{Result: LinkDropped, Layer: policy.LayerEnvironment, Origin: at("sub/base.yaml", 4, 7), Value: new("base"), Text: "base", Extends: &LinkDefinition{Service: "base", By: "/srv/shop/compose.yaml"}, Included: true},
			{Result: LinkRemoved, By: at("compose.yaml", 30, 7), Layer: policy.LayerEnvironment, Origin: at("compose.yaml", 29, 7), Bare: true},
			{Result: LinkOverridden, By: winner, Layer: policy.LayerEnvFile, Origin: at("app.env", 2, 1), Value: new("file"), Text: "file", EnvFileOf: "/srv/shop/compose.yaml"},
			{Result: LinkOverridden, By: winner, Layer: policy.LayerImage, Image: "shop:1", Value: new("image")},
		},
	}
}

func TestOriginText(t *testing.T) {
	const want = `project shop  /srv/shop

service app
  LEVEL is "debug"

  = compose.override.yaml:12:7  environment  "debug"
      sets it
      written  "${LEVEL_NOW:-debug}${SUFFIX}"
      $LEVEL_NOW  is not set: the default counts
      $SUFFIX  is "", from .env

  - compose.yaml:30:7           environment  !reset
      has no effect: compose takes a variable out of a mapping only, and this
      one is in a list by then

  - compose.yaml:3:3            environment  "info"
      loses to compose.override.yaml:12:7
      in an anchor, brought in by the alias at compose.yaml:10:11

  - sub/base.yaml:4:7           environment  "base"
      does not count: a later !override or !reset drops the whole block
      of service base, through extends in compose.yaml
      the file is included

  - compose.yaml:29:7           environment  no value
      taken away by the !reset at compose.yaml:30:7

  - app.env:2:1                 env_file     "file"
      loses to compose.override.yaml:12:7
      an env_file in compose.yaml

  - image shop:1                image        "image"
      loses to compose.override.yaml:12:7
`
	for width, want := range map[int]string{
		80:  want,
		100: strings.Replace(want, "and this\n      one is in a list by then", "and this one is in a list by\n      then", 1),
	} {
		var got bytes.Buffer
		if err := OriginText(&got, originOf(), TextOptions{Width: width}); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got.String()); diff != "" {
			t.Errorf("%d columns (-want +got):\n%s", width, diff)
		}
	}
}

func TestOriginState(t *testing.T) {
	removed := Link{Result: LinkRemoves, Layer: policy.LayerEnvironment}
	cases := map[string]struct {
		reason string
		origin Origin
		set    bool
		want   string
	}{
		"Nobody":  {"no place at all", Origin{Near: []string{"LEVEL", "LEVELS"}}, false, "X is set by nobody\n  similar: LEVEL, LEVELS\n"},
		"Removed": {"what the files set is taken away again", Origin{Chain: []Link{removed}}, false, "X is set by nobody: what the files say of it does not count"},
		"Bare":    {"a bare KEY hides the image's", Origin{Chain: []Link{{Result: LinkWins, Bare: true}, {Result: LinkOverridden, Value: new("1")}}}, true, "X is unset: it is declared without a value"},
		"Empty":   {"an empty value is a value", Origin{Value: new(""), Chain: []Link{{Result: LinkWins, Value: new("")}}}, true, `X is ""`},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			tc.origin.Variable = "X"
			var got bytes.Buffer
			if err := OriginText(&got, tc.origin, TextOptions{Width: 200}); err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(got.String(), tc.want) || tc.origin.Set() != tc.set {
				t.Errorf("%s: set %v, %s", tc.reason, tc.origin.Set(), got.String())
			}
		})
	}
}

func TestOriginJSON(t *testing.T) {
	var first, second bytes.Buffer
	for _, w := range []*bytes.Buffer{&first, &second} {
		if err := OriginJSON(w, originOf()); err != nil {
			t.Fatal(err)
		}
	}
	if first.String() != second.String() {
		t.Error("the same origin gives other bytes")
	}
	var got struct {
		APIVersion, Kind, Version, Project, Service, Variable, Value string
		Chain                                                        []struct {
			Result, Layer, Image string
			Origin, By           *policy.Origin
			Value                *string
			References           []LinkReference
		}
	}
	if err := json.Unmarshal(first.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if got.APIVersion != APIVersion || got.Kind != "Origin" || got.Project != "shop" || got.Value != "debug" || len(got.Chain) != 7 {
		t.Errorf("got %+v", got)
	}
	if last := got.Chain[6]; last.Layer != "image" || last.Image != "shop:1" || last.Origin != nil || last.By.Line != 12 {
		t.Errorf("the image's link is %+v", last)
	}
	var empty bytes.Buffer
	if err := OriginJSON(&empty, Origin{Variable: "X"}); err != nil || !strings.Contains(empty.String(), `"chain": []`) {
		t.Errorf("%v, %s: want a chain, be it empty", err, empty.String())
	}
}

// TestOriginSecrets: no form shows a secret: not of a sensitive variable, not what a reference brings in, be it short.
func TestOriginSecrets(t *testing.T) {
	link := func(value, text string, references ...LinkReference) []Link {
		return []Link{{Result: LinkWins, Layer: policy.LayerEnvironment, Value: &value, Text: text, References: references}}
	}
	cases := map[string]struct {
		reason string
		origin Origin
	}{
		"Key":       {"the variable's own name", Origin{Variable: "DB_PASSWORD", Value: new("hunter2"), Chain: link("hunter2", "hunter2")}},
		"Default":   {"a default in a sensitive variable", Origin{Variable: "DB_PASSWORD", Value: new("hunter2"), Chain: link("hunter2", "${PW:-hunter2}", LinkReference{Name: "PW"})}},
		"Reference": {"a sensitive reference in a variable that is not", Origin{Variable: "X", Value: new("a-hunter2-b"), Chain: link("a-hunter2-b", "a-$DB_PASSWORD-b", LinkReference{Name: "DB_PASSWORD", Value: new("hunter2"), Source: "the shell"})}},
		"Short":     {"a secret too short to look for", Origin{Variable: "X", Value: new("a-hunter2-pw"), Chain: link("a-hunter2-pw", "a-hunter2-$PIN", LinkReference{Name: "PIN", Value: new("pw"), Source: "the shell"})}},
		"Passed":    {"what a sensitive variable refers to", Origin{Variable: "API_KEY", Value: new("hunter2"), Chain: link("hunter2", "$OTHER", LinkReference{Name: "OTHER", Value: new("hunter2"), Source: "the shell"})}},
		"URL":       {"a password in a URL", Origin{Variable: "X", Value: new("redis://u:hunter2@h"), Chain: link("redis://u:hunter2@h", "redis://u:hunter2@h")}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var got bytes.Buffer
			if err := OriginText(&got, tc.origin, TextOptions{Width: 100}); err != nil {
				t.Fatal(err)
			}
			if err := OriginJSON(&got, tc.origin); err != nil {
				t.Fatal(err)
			}
			if strings.Contains(strings.ReplaceAll(got.String(), "a-hunter2-$PIN", ""), "hunter2") {
				t.Errorf("%s is shown:\n%s", tc.reason, got.String())
			}
		})
	}
}
