package report

import (
	"bytes"
	"strings"
	"testing"

	"github.com/composure-dev/composure/reconcile/plan"
)

// planted are all the secrets of the fixtures.
var planted = []string{
	"pw-in-url", "pw-in-file", "old-secret", "new-secret", "token-secret", "check-secret", "env-secret", "other-secret",
	"hunter2hunter2", "-----BEGIN",
}

// leaky is a report in which every place that takes free text quotes a secret it should not.
func leaky() Report {
	r := keptReport()
	p := &r.Projects[0]
	leak := " redis://:old-secret@redis:6379/0 token-secret other-secret postgres://u:hunter2hunter2@db/x"
	p.Context += leak
	p.Failure += leak
	p.Restored = []string{"x" + leak}
	p.Warnings = []string{"x" + leak}
	p.Plan.Held = []plan.Hold{{Object: "app", Reason: "x" + leak, Next: "x" + leak}}
	for i := range p.Findings {
		p.Findings[i].Message += leak
		p.Findings[i].Held, p.Findings[i].Hint = "x"+leak, "x"+leak
	}
	for i := range p.Plan.Steps {
		p.Plan.Steps[i].Object += leak
		p.Plan.Steps[i].Cause += leak
	}
	for i := range p.Outcomes {
		p.Outcomes[i].Detail, p.Outcomes[i].Error = "x"+leak, "x"+leak
	}
	return r
}

func TestNoFormHoldsASecret(t *testing.T) {
	text := func(o TextOptions) func(*bytes.Buffer, Report) error {
		return func(out *bytes.Buffer, r Report) error { return Text(out, r, o) }
	}
	forms := map[string]func(*bytes.Buffer, Report) error{
		"text":    text(TextOptions{Width: 80}),
		"wide":    text(TextOptions{Width: 400}),
		"color":   text(TextOptions{Width: 80, Color: true}),
		"verbose": text(TextOptions{Width: 80, Verbose: true}),
		"quiet":   text(TextOptions{Quiet: true}),
		"json":    func(out *bytes.Buffer, r Report) error { return JSON(out, r) },
		"patch": func(out *bytes.Buffer, r Report) error {
			warnings, err := Patch(out, r)
			out.WriteString(strings.Join(warnings, "\n"))
			return err
		},
	}
	all := reports()
	all["leaky"] = leaky()
	for form, render := range forms {
		for name, r := range all {
			t.Run(form+"/"+name, func(t *testing.T) {
				var out bytes.Buffer
				if err := render(&out, r); err != nil {
					t.Fatal(err)
				}
				for _, secret := range planted {
					if strings.Contains(out.String(), secret) {
						t.Errorf("%q shows in\n%s", secret, out.String())
					}
				}
			})
		}
	}
}

// TestKnownSecrets: what the containers' sensitive values are shows in no free text, whoever quotes it.
func TestKnownSecrets(t *testing.T) {
	r := leaky()
	p := &r.Projects[0]
	p.Secrets = []string{"s3cr3t", "a long-secret\nof lines", "shop-beat", "true", "5432", "redis://:redis@h"}
	leak := func(text *string) { *text += " s3cr3t, of lines and long-secret; shop-beat is true on 5432, redis too" }
	leak(&p.Context)
	leak(&p.Failure)
	leak(&p.Restored[0])
	leak(&p.Warnings[0])
	leak(&p.Plan.Held[0].Reason)
	leak(&p.Plan.Held[0].Next)
	leak(&p.Outcomes[0].Error)
	leak(&p.Outcomes[0].Detail)
	leak(&p.Findings[0].Message)
	leak(&p.Findings[0].Hint)
	leak(&p.Plan.Steps[0].Cause)
	leak(p.Others[0].New)

	var text, document bytes.Buffer
	if err := Text(&text, r, TextOptions{Width: 100, Verbose: true}); err != nil {
		t.Fatal(err)
	}
	if err := JSON(&document, r); err != nil {
		t.Fatal(err)
	}
	for form, got := range map[string]string{"text": text.String(), "json": document.String()} {
		for _, secret := range []string{"s3cr3t", "long-secret"} {
			if strings.Contains(got, secret) {
				t.Errorf("%s: %q shows in\n%s", form, secret, got)
			}
		}
		for _, word := range []string{"shop-beat", "true", "5432", "redis too"} {
			if !strings.Contains(got, word) {
				t.Errorf("%s: %q is a word like any other, but is not in\n%s", form, word, got)
			}
		}
	}
}

// TestSensitiveOfOtherServices: --service leaves findings out, not what the policies call sensitive.
func TestSensitiveOfOtherServices(t *testing.T) {
	const before = "services:\n  app:\n    environment:\n      LEVEL: info\n  db:\n    environment:\n      BROKER: hunter2\n"
	r := patchReport("/srv/shop", "compose.yaml", before, strings.Replace(before, "info", "debug", 1))
	p := &r.Projects[0]
	p.Sensitive = []string{"BROKER"}
	p.Others = []Other{{Service: "db", Change: plan.Change{Sign: plan.SignChange, Key: "BROKER", Old: new("hunter3"), New: new("hunter2")}}}
	var out bytes.Buffer
	if err := Text(&out, r, TextOptions{Width: 100}); err != nil {
		t.Fatal(err)
	}
	if err := JSON(&out, r); err != nil {
		t.Fatal(err)
	}
	if _, err := Patch(&out, r); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); strings.Contains(got, "hunter") || !strings.Contains(got, "BROKER: ********") || !strings.Contains(got, "LEVEL: debug") {
		t.Errorf("a secret shows, or the change does not:\n%s", got)
	}
}
