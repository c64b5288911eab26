# Shortens the output of `go test -v` and sums it up. It fails when a test skipped itself for want of an engine that was required.
/^=== / { reason = ""; next }
/^ +--- PASS: / { next }
/^ *--- SKIP: / {
  engine = tolower(reason) ~ /engine/
  if (engine) wanting++
  if (engine || /^--- SKIP/) skips[++skipped] = $3 ": " reason
}
/^--- PASS: / { passed++ }
/^--- FAIL: / { failed++ }
/^ +[A-Za-z0-9_]+\.go:[0-9]+: / { reason = $0; sub(/^ +[^ ]+ /, "", reason) }
/^\?.*\[no test files\]$/ { next }
{ print; fflush() }
END {
  if (skipped) {
    print "\nSkipped:"
    for (i = 1; i <= skipped; i++) print "  " skips[i]
  }
  if (required == 1 && wanting) print "\n" wanting " skipped for want of an engine, and COMPOSURE_REQUIRE_ENGINE=1"
  printf "\n%d passed, %d failed, %d skipped\n", passed, failed, skipped
  exit (required == 1 && wanting > 0)
}
