package policy

// fileCases: what the files say, and what is written into them.
func fileCases() map[string]evaluationCase {
	return map[string]evaluationCase{
		"Compliant": {"file and container are right", policyOf("p", isTrue()), facts(service("app", literal("true"), with("true"))), []string{
			`app environment Compliant: is "true"`, `app container Compliant: runs with "true"`}},
		"FileMissing": {"declared in the file that defines the service; whatever the container has is replaced with it", policyOf("p", isTrue()), facts(service("app", nil, running(nil))), []string{
			`app environment FileMissing: is not set, must be "true" [/shop/compose.yml K=${K:-true}]`}},
		"FileMissingContainerRight": {"the container happens to be right", policyOf("p", isTrue()), facts(service("app", nil, with("true"))), []string{
			`app environment FileMissing: is not set, must be "true" [/shop/compose.yml K=${K:-true}]`}},
		"FileWrong": {"mended where it stands; a value's dollar is doubled", policyOf("p", Rule{Value: new("a$b")}), facts(service("app", new(in("/shop/override.yml", "x", new("x"))))), []string{
			`app environment FileWrong: is "x", must be "a$b" [/shop/override.yml K=a$$b]`, `app container NotCreated: no container`}},
		"BareUnset": {"a bare key that nothing sets is missing", policyOf("p", isTrue()), facts(service("app", &Variable{Bare: true, Layer: LayerEnvironment, Origin: Origin{mainFile, 20, 7}})), []string{
			`app environment FileMissing: is not set, must be "true" [/shop/compose.yml K=${K:-true}]`, `app container NotCreated: no container`}},
		"EnvFileRight": {"env_file is good enough", policyOf("p", isTrue()), facts(service("app", fromEnvFile("true"))), []string{
			`app env_file Compliant: is "true"`, `app container NotCreated: no container`}},
		"EnvFileWrong": {"environment beats env_file", policyOf("p", isTrue()), facts(service("app", fromEnvFile("no"))), []string{
			`app env_file FileWrong: is "no", must be "true" [/shop/compose.yml K=${K:-true}]`, `app container NotCreated: no container`}},
		"ServiceHeld": {"the verdict stays", policyOf("p", isTrue()), facts(func() Service {
			s := service("app", nil)
			s.Held = "include is not supported yet"
			return s
		}()), []string{
			`app environment FileMissing: is not set, must be "true" [held: include is not supported yet]`, `app container NotCreated: no container`}},
		"NothingToDeclare": {"can find but not mend", policyOf("p", Rule{Minimum: new(1.0), Maximum: new(30.0)}), facts(service("app", literal("60"))), []string{
			`app environment FileWrong: is "60", must be between 1 and 30 [held: say what to declare]`, `app container NotCreated: no container`}},
		"Unsupported": {"a later release's policy is not carried out", policyOf("p", isTrue(), func(p *Policy) { p.Spec.Verify = []Check{{Exec: &ExecCheck{}}} }), facts(service("app", nil, with("false"))), []string{
			`app environment FileMissing: is not set, must be "true" [held: verify exec is not supported yet]`}},
		"Place": {"added where it is not dropped again", policyOf("p", isTrue()), facts(func() Service {
			s := service("app", nil)
			s.Place, s.Places = "/shop/last.yml", map[string]string{"OTHER": "/shop/other.yml"}
			return s
		}()), []string{
			`app environment FileMissing: is not set, must be "true" [/shop/last.yml K=${K:-true}]`, `app container NotCreated: no container`}},
		"PlaceOfKey": {"changed where it is taken away", policyOf("p", isTrue()), facts(func() Service {
			s := service("app", nil)
			s.Place, s.Places = "/shop/last.yml", map[string]string{"K": "/shop/other.yml"}
			return s
		}()), []string{
			`app environment FileMissing: is not set, must be "true" [/shop/other.yml K=${K:-true}]`, `app container NotCreated: no container`}},
		"Extended": {"the service's own file, not that of the base", policyOf("p", isTrue()), facts(service("app", func() *Variable {
			v := in("/shop/base.yml", "x", new("x"))
			v.Definition, v.Base = mainFile, "service base of /shop/base.yml"
			return &v
		}())), []string{
			`app environment FileWrong: is "x", must be "true" [/shop/compose.yml K=${K:-true}]`, `app container NotCreated: no container`}},
		"Override": {"the override file, be it wrong in the other one", policyOf("p", isTrue(), func(p *Policy) { p.Spec.Patch.Target = TargetOverride }), func() Facts {
			f := facts(service("app", literal("no")))
			f.Override = Override{File: "/shop/compose.override.yml"}
			return f
		}(), []string{
			`app environment FileWrong: is "no", must be "true" [/shop/compose.override.yml Override: K=${K:-true}]`, `app container NotCreated: no container`}},
		"OverrideHeld": {"compose would not read it", policyOf("p", isTrue(), func(p *Policy) { p.Spec.Patch.Target = TargetOverride }), func() Facts {
			f := facts(service("app", literal("no")))
			f.Override = Override{Held: "files were named with -f"}
			return f
		}(), []string{
			`app environment FileWrong: is "no", must be "true" [held: files were named with -f]`, `app container NotCreated: no container`}},
		"TargetEnvFile": {"added to the last env file", policyOf("p", isTrue(), toEnvFile), facts(withEnvFiles(service("app", nil))), []string{
			`app environment FileMissing: is not set, must be "true" [/shop/last.env EnvFile: K=${K:-true}]`, `app container NotCreated: no container`}},
		"TargetEnvFileWrong": {"changed where it stands", policyOf("p", isTrue(), toEnvFile), facts(withEnvFiles(service("app", fromEnvFile("no")))), []string{
			`app env_file FileWrong: is "no", must be "true" [/shop/app.env EnvFile: K=${K:-true}]`, `app container NotCreated: no container`}},
		"TargetEnvFileBeaten": {"environment beats it", policyOf("p", isTrue(), toEnvFile), facts(withEnvFiles(service("app", literal("no")))), []string{
			`app environment FileWrong: is "no", must be "true" [held: patch.target is EnvFile, but environment sets it, which beats env_file]`, `app container NotCreated: no container`}},
		"TargetEnvFileNone": {"there is none to write to", policyOf("p", isTrue(), toEnvFile), facts(service("app", nil)), []string{
			`app environment FileMissing: is not set, must be "true" [held: patch.target is EnvFile, and the service has no env_file that exists]`, `app container NotCreated: no container`}},
		"DotEnv": {".env decides, and may be edited", policyOf("p", isTrue(), toEnvFile), func() Facts {
			f := facts(service("app", new(in(mainFile, "${SYNC:-true}", new("no")))))
			f.Environment = map[string]EnvironmentValue{"SYNC": {"no", "/shop/.env"}}
			return f
		}(), []string{
			`app environment OverriddenByEnvironment: is "no" because SYNC is "no" in /shop/.env, must be "true" [/shop/.env EnvFile: SYNC=true]`, `app container NotCreated: no container`}},
		"DotEnvShell": {"the shell decides, and cannot be edited", policyOf("p", isTrue(), toEnvFile), func() Facts {
			f := facts(service("app", new(in(mainFile, "${SYNC:-true}", new("no")))))
			f.Environment = map[string]EnvironmentValue{"SYNC": {"no", "the shell"}}
			return f
		}(), []string{
			`app environment OverriddenByEnvironment: is "no" because SYNC is "no" in the shell, must be "true" [held: the value comes from outside the compose files]`, `app container NotCreated: no container`}},
		"Never": {"files only", policyOf("p", isTrue(), func(p *Policy) { p.Spec.Rollout.Strategy = StrategyNever }), facts(service("app", literal("true"), with("no"))), []string{
			`app environment Compliant: is "true"`, `app container ContainerStale: runs with "no", the files say "true" [held: rollout.strategy is Never]`}},
		"Sensitive": {"no value in a message", policyOf("p", Rule{Value: new("hunter2"), Sensitive: new(true)}), facts(service("app", literal("hunter1"), with("hunter3"))), []string{
			`app environment FileWrong: is "********", must be "********" [/shop/compose.yml K=hunter2]`}},
		"PresentEmpty": {"empty is not present", policyOf("p", Rule{Present: true}), facts(service("app", literal(""))), []string{
			`app environment FileWrong: is "", must be set and not empty [held: say what to declare]`, `app container NotCreated: no container`}},
		"AllowEmpty": {"unless it is", policyOf("p", Rule{Present: true, AllowEmpty: true}), facts(service("app", literal(""))), []string{
			`app environment Compliant: is ""`, `app container NotCreated: no container`}},
		"AllowImage": {"the image's ENV is enough", policyOf("p", Rule{Present: true, AllowImage: true}), facts(service("app", nil, func() Container {
			c := with("x")
			c.ImageEnv = map[string]string{"K": "x"}
			return c
		}())), []string{
			`app environment Compliant: is left to the image`, `app container Compliant: runs with "x"`}},
		"ImageNotAllowed": {"without allowImage the file must say it", policyOf("p", Rule{Present: true, Declare: new("y")}), facts(service("app", nil, func() Container {
			c := with("x")
			c.ImageEnv = map[string]string{"K": "x"}
			return c
		}())), []string{
			`app environment FileMissing: is not set, must be set and not empty [/shop/compose.yml K=y]`}},
		"Ignored": {"the label takes it out", policyOf("p", isTrue()), facts(Service{Name: "app", Labels: map[string]string{IgnoreLabel: "true"}}), nil},
	}
}

// overrideCases: right by its text, made wrong from outside.
func overrideCases() map[string]evaluationCase {
	return map[string]evaluationCase{
		"Overridden": {"right by its text", policyOf("p", isTrue()), func() Facts {
			f := facts(service("app", new(in(mainFile, "${K:-true}", new("false"))), with("false")))
			f.Environment = shell("false")
			return f
		}(), []string{
			`app environment OverriddenByEnvironment: is "false" because K is "false" in the shell, must be "true" [held: the value comes from outside the compose files]`}},
		"OverriddenBare": {"a bare key takes the shell's", policyOf("p", isTrue()), func() Facts {
			f := facts(service("app", &Variable{Value: new("0"), Bare: true, Layer: LayerEnvironment, Origin: Origin{mainFile, 20, 7}}))
			f.Environment = shell("0")
			return f
		}(), []string{
			`app environment OverriddenByEnvironment: is "0" because K is "0" in the shell, must be "true" [held: the value comes from outside the compose files]`,
			`app container NotCreated: no container`}},
		"OverriddenBeforeWritten": {"what would be written does not help", policyOf("p", isTrue()), func() Facts {
			f := facts(service("app", nil))
			f.Environment = shell("false")
			return f
		}(), []string{
			`app environment OverriddenByEnvironment: is not set and would not comply because K is "false" in the shell, must be "true" [held: the value comes from outside the compose files]`,
			`app container NotCreated: no container`}},
		"ForbiddenBare": {"without the bare key the image's value would show", policyOf("p", Rule{Absent: true}), func() Facts {
			f := facts(service("app", &Variable{Value: new("x"), Bare: true, Layer: LayerEnvironment, Origin: Origin{mainFile, 20, 7}}, fromImage("2.40.3")))
			f.Environment = shell("x")
			return f
		}(), []string{
			`app environment OverriddenByEnvironment: is "x", must not be set [held: a bare K takes the value of the shell; without that it hides the image's]`}},
		"ForbiddenBareAlone": {"no image sets it", policyOf("p", Rule{Absent: true}), func() Facts {
			f := facts(service("app", &Variable{Value: new("x"), Bare: true, Layer: LayerEnvironment, Origin: Origin{mainFile, 20, 7}}, with("x")))
			f.Environment = shell("x")
			return f
		}(), []string{
			`app environment Forbidden: is "x", must not be set [/shop/compose.yml -K]`}},
		"IncludedEnvironment": {"an included file has an environment of its own", policyOf("p", isTrue()), func() Facts {
			v := in("/shop/sub/compose.yml", "${K:-true}", new("no"))
			v.References = map[string]EnvironmentValue{"K": {"no", "/shop/sub/.env"}}
			return facts(service("app", &v))
		}(), []string{
			`app environment OverriddenByEnvironment: is "no" because K is "no" in /shop/sub/.env, must be "true" [held: the value comes from outside the compose files]`,
			`app container NotCreated: no container`}},
		"EnvFileLiteral": {"text that is not interpolated is wrong by itself, whatever the shell has", policyOf("p", isTrue()), func() Facts {
			f := facts(service("app", &Variable{Value: new("${K:-true}"), Text: "${K:-true}", Literal: true, Layer: LayerEnvFile, Origin: Origin{"/shop/app.env", 3, 1}}))
			f.Environment = shell("true")
			return f
		}(), []string{
			`app env_file FileWrong: is "${K:-true}", must be "true" [/shop/compose.yml K=${K:-true}]`, `app container NotCreated: no container`}},
		"EnvFileInterpolated": {"text that is interpolated is overridden", policyOf("p", isTrue()), func() Facts {
			f := facts(service("app", &Variable{Value: new("no"), Text: "${K:-true}", Layer: LayerEnvFile, Origin: Origin{"/shop/app.env", 3, 1}}))
			f.Environment = shell("no")
			return f
		}(), []string{
			`app env_file OverriddenByEnvironment: is "no" because K is "no" in the shell, must be "true" [held: the value comes from outside the compose files]`,
			`app container NotCreated: no container`}},
	}
}

// containerCases: what runs, compared with what the files say.
func containerCases() map[string]evaluationCase {
	return map[string]evaluationCase{
		"ContainerStale": {"files right, container old", policyOf("p", isTrue()), facts(service("app", literal("true"), with("false"))), []string{
			`app environment Compliant: is "true"`, `app container ContainerStale: runs with "false", the files say "true"`}},
		"ContainerOtherThanFile": {"both satisfy the rule, but the container is not what the file says", policyOf("p", Rule{Minimum: new(1.0)}), facts(service("app", literal("5"), with("6"))), []string{
			`app environment Compliant: is "5"`, `app container ContainerStale: runs with "6", the files say "5"`}},
		"BareInContainer": {"a bare key is unset", policyOf("p", isTrue()), facts(service("app", literal("true"), running(map[string]*string{"K": nil}))), []string{
			`app environment Compliant: is "true"`, `app container ContainerStale: runs without it, the files say "true"`}},
		"Forbidden": {"taken out of the file", policyOf("p", Rule{Absent: true}), facts(service("app", literal("x"), with("x"))), []string{
			`app environment Forbidden: is "x", must not be set [/shop/compose.yml -K]`}},
		"ForbiddenEnvFile": {"other services may use the file", policyOf("p", Rule{Absent: true}), facts(service("app", fromEnvFile("x"), with("x"))), []string{
			`app env_file Forbidden: is "x", must not be set [held: it comes from an env file, which others may use too]`}},
		"ForbiddenTargetEnvFile": {"unless the policy says so", policyOf("p", Rule{Absent: true}, toEnvFile), facts(withEnvFiles(service("app", fromEnvFile("x"), with("x")))), []string{
			`app env_file Forbidden: is "x", must not be set [/shop/app.env EnvFile: -K]`}},
		"ForbiddenBase": {"others may extend the base", policyOf("p", Rule{Absent: true}), facts(service("app", func() *Variable {
			v := in(mainFile, "x", new("x"))
			v.Base = "service base"
			return &v
		}())), []string{
			`app environment Forbidden: is "x", must not be set [held: it comes from service base, which other services may extend too]`, `app container NotCreated: no container`}},
		"ForbiddenOverride": {"an override only adds", policyOf("p", Rule{Absent: true}, func(p *Policy) { p.Spec.Patch.Target = TargetOverride }), facts(service("app", literal("x"))), []string{
			`app environment Forbidden: is "x", must not be set [held: an override file cannot take a variable away]`, `app container NotCreated: no container`}},
		"AbsentStale": {"the file is rid of it, the container not yet", policyOf("p", Rule{Absent: true}), facts(service("app", nil, with("x"))), []string{
			`app environment Compliant: is not set`, `app container ContainerStale: runs with "x", must not be set`}},
		"AbsentFromImage": {"a swap would bring it back", policyOf("p", Rule{Absent: true}), facts(service("app", nil, func() Container {
			c := with("x")
			c.ImageEnv = map[string]string{"K": "x"}
			return c
		}())), []string{
			`app environment Compliant: is not set`, `app image Forbidden: runs with "x" from its image, must not be set [held: a bare key hides the image's value with compose 2.35 or newer only]`}},
		"AbsentHidden": {"a bare key hides the image's", policyOf("p", Rule{Absent: true}), facts(service("app", nil, fromImage("2.35.0"))), []string{
			`app environment Compliant: is not set`, `app image Forbidden: runs with "x" from its image, must not be set [/shop/compose.yml K]`}},
		"AbsentGiven": {"a bare key would take the shell's", policyOf("p", Rule{Absent: true}), func() Facts {
			f := facts(service("app", nil, fromImage("5.0.2")))
			f.Environment = shell("y")
			return f
		}(), []string{
			`app environment Compliant: is not set`, `app image Forbidden: runs with "x" from its image, must not be set [held: a bare K would hide the image's, but takes the value of the shell]`}},
		"NotCreated": {"a stopped container is left alone", policyOf("p", isTrue()), facts(service("app", literal("true"), exited())), []string{
			`app environment Compliant: is "true"`, `app container NotCreated: shop-app-2 is exited`}},
		"Unreachable": {"containers are compared, nothing is swapped", policyOf("p", isTrue()), func() Facts {
			f := facts(Service{Name: "app", Containers: []Container{with("false")}})
			f.FilesUnreachable = "no file here"
			return f
		}(), []string{
			`app environment FilesUnreachable: no compose file can be read, must be "true" [held: no file here]`,
			`app container ContainerStale: runs with "false", must be "true" [held: no file here]`}},
		"UnreachableSame": {"without files the running containers are the sides", policyOf("p", Rule{SameAcrossServices: true}), func() Facts {
			f := facts(Service{Name: "app", Containers: []Container{with("a")}}, Service{Name: "beat", Containers: []Container{with("b"), exited()}})
			f.FilesUnreachable = "no file here"
			return f
		}(), []string{
			`app environment FilesUnreachable: no compose file can be read, must be set [held: no file here]`,
			`app container ContainerStale: runs with "a", must be the same in every selected service: app "a", beat "b" [held: no file here]`,
			`beat environment FilesUnreachable: no compose file can be read, must be set [held: no file here]`,
			`beat container NotCreated: shop-app-2 is exited`,
			`beat container ContainerStale: runs with "b", must be the same in every selected service: app "a", beat "b" [held: no file here]`}},
	}
}

// patchFilesCases: files that must each declare the variable.
func patchFilesCases() map[string]evaluationCase {
	return map[string]evaluationCase{
		"EnvFileNotExplicit": {"patch.files asks for the key itself", policyOf("p", isTrue(), patching("compose.yml")), facts(service("app", fromEnvFile("true"))), []string{
			`app environment FileMissing: is not set, must be "true" [/shop/compose.yml K=${K:-true}]`, `app container NotCreated: no container`}},
		"PatchFiles": {"every named file must say it, loaded or not", policyOf("p", isTrue(), patching("compose.yml", "./compose.dev.yml", "other.yml")), facts(func() Service {
			s := service("app", literal("true"))
			s.Definitions = append(s.Definitions, Definition{File: devFile, Service: Origin{devFile, 4, 3}})
			return s
		}()), []string{
			`app environment FileMissing: is not set, must be "true" [/shop/compose.dev.yml K=${K:-true}]`, `app environment Compliant: is "true"`, `app container NotCreated: no container`}},
		"PatchFilesLaterWins": {"a file that is not named wins with a wrong value", policyOf("p", isTrue(), patching("compose.yml")), facts(func() Service {
			s := service("app", literal("true"))
			s.Resolved["K"] = in("/shop/zz.yml", "no", new("no"))
			return s
		}()), []string{
			`app environment Compliant: is "true"`, `app environment FileWrong: is "no", must be "true" [/shop/zz.yml K=${K:-true}]`, `app container NotCreated: no container`}},
		"ForeignRight": {"a service that only a listed file defines is judged by that file alone", policyOf("p", isTrue(), patching("compose.dev.yml")), facts(foreign("app", "true")), []string{
			`app environment Compliant: is "true"`}},
		"ForeignWrong": {"and mended there", policyOf("p", isTrue(), patching("compose.dev.yml")), facts(foreign("app", "no")), []string{
			`app environment FileWrong: is "no", must be "true" [/shop/compose.dev.yml K=${K:-true}]`}},
		"ForeignMissing": {"and declared there", policyOf("p", isTrue(), patching("compose.dev.yml")), facts(foreign("app")), []string{
			`app environment FileMissing: is not set, must be "true" [/shop/compose.dev.yml K=${K:-true}]`}},
		"ForeignRunning": {"a container that another up left is told of", policyOf("p", isTrue(), patching("compose.dev.yml")), facts(func() Service {
			s := foreign("app", "true")
			s.Containers = []Container{with("no")}
			return s
		}()), []string{
			`app environment Compliant: is "true"`, `app container ContainerStale: runs with "no", must be "true"`}},
		"ForeignSame": {"it is no side of the project's own", policyOf("p", Rule{SameAcrossServices: true, Declare: new("b")}, patching("compose.dev.yml")), facts(service("app", literal("a")), foreign("dev", "b")), []string{
			`app environment Compliant: is "a"`, `app container NotCreated: no container`, `dev environment Compliant: is "b"`}},
	}
}

// sameCases: services that have to agree.
func sameCases() map[string]evaluationCase {
	return map[string]evaluationCase{
		"SameHeld": {"which side is right?", policyOf("p", Rule{SameAcrossServices: true}), facts(service("app", literal("a")), service("beat", literal("b"))), []string{
			`app environment FileWrong: is "a", must be the same in every selected service: app "a", beat "b" [held: which side is right?]`, `app container NotCreated: no container`,
			`beat environment FileWrong: is "b", must be the same in every selected service: app "a", beat "b" [held: which side is right?]`, `beat container NotCreated: no container`}},
		"SameDeclare": {"all sides are set to what declare says", policyOf("p", Rule{SameAcrossServices: true, Declare: new("${K:-b}")}), facts(service("app", literal("a"), with("a")), service("beat", literal("b"))), []string{
			`app environment FileWrong: is "a", must be "b" in every selected service [/shop/compose.yml K=${K:-b}]`,
			`beat environment Compliant: is "b"`, `beat container NotCreated: no container`}},
		"SameAgree": {"agreement on another value than declare is agreement", policyOf("p", Rule{SameAcrossServices: true, Declare: new("b")}), facts(service("app", literal("a")), service("beat", literal("a"))), []string{
			`app environment Compliant: is "a"`, `app container NotCreated: no container`, `beat environment Compliant: is "a"`, `beat container NotCreated: no container`}},
		"SameByEnvironment": {"sides that resolve to one value agree, although one is written out and another shell may part them", policyOf("p", Rule{SameAcrossServices: true, Declare: new("${K:-three}")}), func() Facts {
			f := facts(service("app", literal("two")), service("beat", new(in(mainFile, "${K:-three}", new("two")))))
			f.Environment = shell("two")
			return f
		}(), []string{
			`app environment Compliant: is "two"`, `app container NotCreated: no container`, `beat environment Compliant: is "two"`, `beat container NotCreated: no container`}},
	}
}

func toEnvFile(p *Policy) { p.Spec.Patch.Target = TargetEnvFile }

func withEnvFiles(s Service) Service {
	s.EnvFiles = []EnvFile{{Path: "/shop/app.env"}, {Path: "/shop/last.env"}}
	return s
}

// fromImage is a container whose image sets the variable, made by a version of compose.
func fromImage(version string) Container {
	c := with("x")
	c.ImageEnv, c.ComposeVersion = map[string]string{"K": "x"}, version
	return c
}
